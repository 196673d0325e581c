# All checks, none of them listed by hand: the packages and what their `tests` hold, and a check for each file of
# tests/nix/checks.
{
  pkgs,
  packages,
  makeExt4Fs,
  makeSdImage,
  makeDiskImage,
  makeNixosDisk,
  module,
  overlay,
}:
let
  inherit (pkgs) lib;

  ofPackage =
    name: package:
    {
      ${name} = package;
    }
    // lib.mapAttrs' (test: value: lib.nameValuePair "${name}-${test}" value) (package.tests or { });

  folder = ../tests/nix/checks;
  ofFile = file: {
    ${lib.removeSuffix ".nix" file} = import (folder + "/${file}") {
      inherit
        pkgs
        lib
        packages
        makeExt4Fs
        makeSdImage
        makeDiskImage
        makeNixosDisk
        module
        overlay
        ;
    };
  };
in
lib.foldl' (all: more: all // more) { } (
  lib.mapAttrsToList ofPackage (removeAttrs packages [ "default" ])
  ++ map ofFile (lib.filter (lib.hasSuffix ".nix") (lib.attrNames (builtins.readDir folder)))
)
