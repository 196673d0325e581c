# snugfs and its functions beside nixpkgs' own packages, built by that nixpkgs.
final: _prev:
{
  snugfs = final.callPackage ./package.nix { };
}
// builtins.mapAttrs (_name: file: arguments: final.callPackage file arguments) (
  import ./functions.nix
)
