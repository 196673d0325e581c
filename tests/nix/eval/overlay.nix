# The overlay, and images for another platform.
{ pkgs, lib }:
let
  overlay = import ../../../nix/overlay.nix;
  with' = import pkgs.path {
    inherit (pkgs.stdenv.buildPlatform) system;
    overlays = [ overlay ];
  };
  arguments = p: {
    storePaths = [ p.hello ];
    volumeLabel = "ROOT";
  };
  cross = with'.pkgsCross.aarch64-multiplatform;
  bare = pkgs.pkgsCross.aarch64-multiplatform;
  inputs = image: map (input: input.drvPath) image.nativeBuildInputs;
in
{
  "the overlay's program makes the overlay's images" = {
    expr = inputs (with'.makeExt4Fs (arguments with'));
    expected = [ with'.snugfs.drvPath ];
  };
  "with the overlay and without it the image is the same" = {
    expr = (with'.makeExt4Fs (arguments with')).drvPath;
    expected = (pkgs.callPackage ../../../nix/make-ext4-fs.nix (arguments pkgs)).drvPath;
  };
  "an image for another platform is made by the builder's program" = {
    expr = inputs (cross.makeExt4Fs (arguments cross));
    expected = [ with'.snugfs.drvPath ];
  };
  "so it is by a plain import, which nothing is replaced for" = {
    expr = inputs (import ../../../nix/make-ext4-fs.nix (arguments cross // { pkgs = cross; }));
    expected = [ with'.snugfs.drvPath ];
  };
  "and without the overlay" = {
    expr = inputs (bare.callPackage ../../../nix/make-ext4-fs.nix (arguments bare));
    expected = [ with'.snugfs.drvPath ];
  };
  "and by both" = {
    expr = inputs (import ../../../nix/make-ext4-fs.nix (arguments bare // { pkgs = bare; }));
    expected = [ with'.snugfs.drvPath ];
  };
  "the static program is pkgsStatic's, and is looked at for a loader" = {
    expr =
      let
        static = (import ../../.. { inherit pkgs; }).snugfsStatic;
      in
      [
        static.name
        (pkgs.callPackage ../../../nix/package.nix { }).name
        (static.overrideAttrs (old: {
          name = if old.doInstallCheck then "checked" else "unchecked";
        })).name
      ];
    expected =
      let
        inherit (pkgs.snugfs or (pkgs.callPackage ../../../nix/package.nix { })) name;
      in
      [
        "${name}-static"
        name
        "checked-static"
      ];
  };
}
