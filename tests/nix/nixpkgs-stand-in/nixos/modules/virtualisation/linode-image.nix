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
    virtualisation.linodeImage.configFile = mkOption {
      type = types.nullOr types.str;
      default = null;
    };
    virtualisation.linodeImage.compressionLevel = mkOption {
      type = types.int;
      default = 6;
    };
  };
  config = {
    image.extension = "img.gz";
    boot.loader.grub = {
      enable = lib.mkDefault true;
      device = "nodev";
    };
    system.build.image = config.system.build.linodeImage;
    system.build.linodeImage = import ../../lib/make-disk-image.nix {
      inherit pkgs;
      inherit (config.image) baseName;
      name = "linode-image";
    };
  };
}
