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
    virtualisation.googleComputeImage.configFile = mkOption {
      type = types.nullOr types.str;
      default = null;
    };
    virtualisation.googleComputeImage.compressionLevel = mkOption {
      type = types.int;
      default = 6;
    };
    virtualisation.googleComputeImage.efi = mkOption {
      type = types.bool;
      default = false;
    };
  };
  config = {
    image.extension = "raw.tar.gz";
    boot.loader.grub = {
      enable = lib.mkDefault true;
      device = if config.virtualisation.googleComputeImage.efi then "nodev" else "/dev/sda";
      efiSupport = config.virtualisation.googleComputeImage.efi;
      efiInstallAsRemovable = config.virtualisation.googleComputeImage.efi;
    };
    system.build.image = config.system.build.googleComputeImage;
    system.build.googleComputeImage = import ../../lib/make-disk-image.nix {
      inherit pkgs;
      inherit (config.image) baseName;
      name = "google-compute-image";
    };
  };
}
