{
  config,
  lib,
  pkgs,
  ...
}:
{
  imports = [
    ../../../modules/virtualisation/disk-size-option.nix
    ../../../modules/image/file-options.nix
  ];
  config = {
    image.extension = "qcow2";
    boot.loader.grub = {
      enable = lib.mkDefault true;
      device = "/dev/sda";
    };
    system.build.image = config.system.build.openstackImage;
    system.build.openstackImage = import ../../../modules/../lib/make-disk-image.nix {
      inherit pkgs;
      inherit (config.image) baseName;
      format = "qcow2";
    };
  };
}
