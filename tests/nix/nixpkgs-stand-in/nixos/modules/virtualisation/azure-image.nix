{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
in
{
  imports = [
    ../virtualisation/disk-size-option.nix
    ../image/file-options.nix
  ];
  options = {
    virtualisation.azureImage.bootSize = mkOption {
      type = types.int;
      default = 256;
    };
    virtualisation.azureImage.contents = mkOption {
      type = types.listOf types.attrs;
      default = [ ];
    };
    virtualisation.azureImage.label = mkOption {
      type = types.str;
      default = "nixos";
    };
    virtualisation.azureImage.vmGeneration = mkOption {
      type = types.str;
      default = "v1";
    };
  };
  config = {
    image.extension = "vhd";
    boot.loader.grub = {
      enable = lib.mkDefault true;
      efiSupport = config.virtualisation.azureImage.vmGeneration == "v2";
      device = if config.boot.loader.grub.efiSupport then "nodev" else "/dev/sda";
      efiInstallAsRemovable = config.boot.loader.grub.efiSupport;
    };
    system.build.image = config.system.build.azureImage;
    system.build.azureImage = import ../../lib/make-disk-image.nix {
      inherit pkgs;
      inherit (config.image) baseName;
      name = "azure-image";
    };
  };
}
