{
  description = "A NixOS SD image, built by snugfs";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.11";
    snugfs.url = "git+https://example.org/snugfs";
  };

  outputs =
    {
      self,
      nixpkgs,
      snugfs,
    }:
    {
      nixosConfigurations.board = nixpkgs.lib.nixosSystem {
        modules = [
          "${nixpkgs}/nixos/modules/installer/sd-card/sd-image-aarch64.nix"
          snugfs.nixosModules.default
          ./configuration.nix
        ];
      };

      # nix build
      packages = nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (_system: {
        default = self.nixosConfigurations.board.config.system.build.sdImage;
      });
    };
}
