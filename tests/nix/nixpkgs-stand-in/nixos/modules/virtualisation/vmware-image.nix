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
    vmware.baseImageSize = mkOption {
      type = types.either (types.enum [ "auto" ]) types.int;
      default = "auto";
    };
    vmware.vmDerivationName = mkOption {
      type = types.str;
      default = "nixos-vmware";
    };
    vmware.vmSubformat = mkOption {
      type = types.str;
      default = "monolithicSparse";
    };
  };
  config = {
    image.extension = "vmdk";
    boot.loader.grub = {
      enable = lib.mkDefault true;
      device = "nodev";
      efiSupport = true;
      efiInstallAsRemovable = true;
    };
    system.build.image = config.system.build.vmwareImage;
    system.build.vmwareImage = import ../../lib/make-disk-image.nix {
      inherit pkgs;
      inherit (config.image) baseName;
      name = config.vmware.vmDerivationName;
      postVM = "mv $diskImage $out/${config.image.fileName}";
    };
  };
}
