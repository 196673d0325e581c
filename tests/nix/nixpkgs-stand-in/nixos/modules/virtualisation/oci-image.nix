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
    oci.efi = mkOption {
      type = types.bool;
      default = true;
    };
  };
  config = {
    image.extension = "qcow2";
    virtualisation.diskSize = lib.mkDefault (8 * 1024);
    boot.loader.grub = {
      enable = lib.mkDefault true;
      device = "nodev";
      efiSupport = true;
      efiInstallAsRemovable = true;
    };
    system.build.image = config.system.build.OCIImage;
    system.build.OCIImage = import ../../lib/make-disk-image.nix {
      inherit pkgs;
      inherit (config.image) baseName;
      name = "oci-image";
    };
  };
}
