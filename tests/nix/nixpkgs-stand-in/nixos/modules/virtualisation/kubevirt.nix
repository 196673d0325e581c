{
  config,
  lib,
  pkgs,
  ...
}:
{
  imports = [
    ../virtualisation/disk-size-option.nix
    ../image/file-options.nix
  ];
  config = {
    image.extension = "qcow2";
    boot.loader.timeout = 0;
    boot.loader.grub = {
      enable = lib.mkDefault true;
      device = "/dev/sda";
    };
    system.build.image = config.system.build.kubevirtImage;
    system.build.kubevirtImage = import ../../lib/make-disk-image.nix {
      inherit pkgs;
      inherit (config.image) baseName;
      format = "qcow2";
    };
  };
}
