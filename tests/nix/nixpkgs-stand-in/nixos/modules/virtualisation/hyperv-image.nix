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
    hyperv.vmDerivationName = mkOption {
      type = types.str;
      default = "nixos-hyperv";
    };
  };
  config = {
    image.extension = "vhdx";
    boot.loader.grub = {
      enable = lib.mkDefault true;
      device = "nodev";
      efiSupport = true;
      efiInstallAsRemovable = true;
    };
    system.build.image = config.system.build.hypervImage;
    system.build.hypervImage = import ../../lib/make-disk-image.nix {
      inherit pkgs;
      inherit (config.image) baseName;
      name = config.hyperv.vmDerivationName;
      postVM = "mv $diskImage $out/${config.image.fileName}";
    };
  };
}
