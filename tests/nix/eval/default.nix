# Tests that evaluation alone decides: each file here gives a set of { expr; expected; }. -> what differs, by name.
# `nix-instantiate --eval --strict --json -E 'import ./tests/nix/eval { }'`
{
  pkgs ? import ../nixpkgs-stand-in { },
}:
let
  inherit (pkgs) lib;
  files = lib.filter (name: name != "default.nix" && lib.hasSuffix ".nix" name) (
    lib.attrNames (builtins.readDir ./.)
  );
  tests = lib.foldl' (
    all: file:
    all
    // lib.mapAttrs' (name: test: lib.nameValuePair "${lib.removeSuffix ".nix" file}: ${name}" test) (
      import (./. + "/${file}") { inherit pkgs lib; }
    )
  ) { } files;
in
lib.mapAttrs (
  _name: test: if test.expr == test.expected then "ok" else { inherit (test) expr expected; }
) tests
