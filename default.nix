# For people without flakes: `nix-build -A snugfs`, or from another expression
#   (import ./snugfs { inherit pkgs; }).makeExt4Fs { storePaths = [ pkgs.hello ]; volumeLabel = "ROOT"; }
# Without `pkgs`, nixpkgs is the one that flake.lock names.
{
  system ? builtins.currentSystem,
  pkgs ?
    let
      lock = builtins.fromJSON (builtins.readFile ./flake.lock);
      inherit (lock.nodes.nixpkgs.locked)
        owner
        repo
        rev
        narHash
        ;
    in
    import (builtins.fetchTarball {
      url = "https://github.com/${owner}/${repo}/archive/${rev}.tar.gz";
      sha256 = narHash;
    }) { inherit system; },
}:
let
  functions = pkgs.lib.mapAttrs (_name: file: arguments: pkgs.callPackage file arguments) (
    import ./nix/functions.nix
  );
  packages = {
    snugfs = pkgs.callPackage ./nix/package.nix { };
    sdImage = functions.makeSdImage {
      storePaths = [ pkgs.hello ];
    };
  };
in
packages
// functions
// {
  # One file for every Linux of this processor.
  snugfsStatic = pkgs.pkgsStatic.callPackage ./nix/package.nix { };
  overlay = import ./nix/overlay.nix;
  # Paths, for `imports`.
  nixosModule = ./nix/module.nix;
  nixosImagesModule = ./nix/images-module.nix;
  nixosVerityModule = ./nix/verity-module.nix;
  checks = import ./nix/checks.nix {
    inherit pkgs packages;
    inherit (functions)
      makeExt4Fs
      makeSdImage
      makeDiskImage
      makeNixosDisk
      ;
    module = ./nix/module.nix;
    overlay = import ./nix/overlay.nix;
  };
  devShell = import ./nix/dev-shell.nix { inherit pkgs; };
}
