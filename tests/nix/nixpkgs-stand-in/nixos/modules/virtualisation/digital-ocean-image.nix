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
    virtualisation.digitalOceanImage.configFile = mkOption {
      type = types.nullOr types.path;
      default = null;
    };
    virtualisation.digitalOceanImage.compressionMethod = mkOption {
      type = types.str;
      default = "gzip";
    };
    virtualisation.digitalOcean.defaultConfigFile = mkOption {
      type = types.path;
      default = ./digital-ocean-image.nix;
    };
  };
  config = {
    image.extension = "qcow2.${if config.virtualisation.digitalOceanImage.compressionMethod == "gzip" then "gz" else "bz2"}";
    boot.loader.grub = {
      enable = lib.mkDefault true;
      device = "/dev/sda";
    };
    system.build.image = config.system.build.digitalOceanImage;
    system.build.digitalOceanImage = import ../../lib/make-disk-image.nix {
      inherit pkgs;
      inherit (config.image) baseName;
      name = "digital-ocean-image";
    };
  };
}
