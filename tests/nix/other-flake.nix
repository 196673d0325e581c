# A flake of somebody else that takes images from this one. SNUGFS and NIXPKGS are replaced by where they are.
{
  inputs.nixpkgs.url = "NIXPKGS";
  inputs.snugfs = {
    url = "SNUGFS";
    inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    { nixpkgs, snugfs, ... }:
    let
      system = "x86_64-linux";
      pkgs = import nixpkgs {
        inherit system;
        overlays = [ snugfs.overlays.default ];
      };
      arguments = {
        storePaths = [ pkgs.greeter ];
        volumeLabel = "OTHER";
      };
    in
    {
      packages.${system} = {
        overlay = pkgs.makeExt4Fs arguments;
        lib = snugfs.lib.makeExt4Fs nixpkgs.legacyPackages.${system} arguments;
        legacy = snugfs.legacyPackages.${system}.makeExt4Fs arguments;
      };
    };
}
