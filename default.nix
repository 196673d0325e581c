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
  makeExt4Fs = arguments: pkgs.callPackage ./nix/make-ext4-fs.nix arguments;
  packages = {
    snugfs = pkgs.callPackage ./nix/package.nix { };
    sdImage = import ./nix/sd-image.nix {
      inherit pkgs makeExt4Fs;
      storePaths = [ pkgs.hello ];
    };
  };
in
packages
// {
  inherit makeExt4Fs;
  overlay = import ./nix/overlay.nix;
  # A path, for `imports`.
  nixosModule = ./nix/module.nix;
  checks = import ./nix/checks.nix {
    inherit pkgs packages makeExt4Fs;
    module = ./nix/module.nix;
    overlay = import ./nix/overlay.nix;
  };
  devShell = import ./nix/dev-shell.nix { inherit pkgs; };
}
