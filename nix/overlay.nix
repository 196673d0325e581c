# snugfs and makeExt4Fs beside nixpkgs' own packages, built by that nixpkgs.
final: _prev: {
  snugfs = final.callPackage ./package.nix { };
  makeExt4Fs = arguments: final.callPackage ./make-ext4-fs.nix arguments;
}
