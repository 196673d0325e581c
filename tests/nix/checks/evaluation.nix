# What evaluation alone decides (tests/nix/eval), with this nixpkgs.
{ pkgs, lib, ... }:
let
  differing = lib.filterAttrs (_name: result: result != "ok") (import ../eval { inherit pkgs; });
in
pkgs.runCommand "check-evaluation" { } (
  if differing == { } then
    "touch $out"
  else
    throw "evaluation tests differ: ${builtins.toJSON differing}"
)
