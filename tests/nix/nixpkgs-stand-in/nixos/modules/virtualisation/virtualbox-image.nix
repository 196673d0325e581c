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
    virtualbox.baseImageFreeSpace = mkOption {
      type = types.int;
      default = 30720;
    };
    virtualbox.vmDerivationName = mkOption {
      type = types.str;
      default = "nixos-ova";
    };
    virtualbox.extraDisk = mkOption {
      type = types.nullOr types.attrs;
      default = null;
    };
  };
  config = {
    image.extension = "ova";
    boot.loader.grub = {
      enable = lib.mkDefault true;
      device = "/dev/sda";
    };
    system.build.image = lib.mkDefault config.system.build.virtualBoxOVA;
    system.build.virtualBoxOVA = import ../../lib/make-disk-image.nix {
      inherit pkgs;
      inherit (config.image) baseName;
      name = config.virtualbox.vmDerivationName;
      postVM = "mv $diskImage $out/${config.image.fileName}";
    };
  };
}
