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
    ../../../modules/virtualisation/disk-size-option.nix
    ../../../modules/image/file-options.nix
  ];
  options = {
    amazonImage.format = mkOption {
      type = types.str;
      default = "vpc";
    };
    amazonImage.contents = mkOption {
      type = types.listOf types.attrs;
      default = [ ];
    };
    ec2.efi = mkOption {
      type = types.bool;
      default = false;
    };
    ec2.zfs.enable = mkOption {
      type = types.bool;
      default = false;
    };
  };
  config = {
    image.extension = if config.amazonImage.format == "vpc" then "vhd" else config.amazonImage.format;
    virtualisation.diskSize = lib.mkOverride 1490 (4 * 1024);
    boot.loader.grub = {
      enable = lib.mkDefault true;
      device = "/dev/sda";
    };
    system.build.image = config.system.build.amazonImage;
    system.build.amazonImage = import ../../../modules/../lib/make-disk-image.nix {
      inherit pkgs;
      inherit (config.image) baseName;
      name = config.image.baseName;
    };
  };
}
