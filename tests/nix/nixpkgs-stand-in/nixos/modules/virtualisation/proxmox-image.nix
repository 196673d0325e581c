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
    proxmox.partitionTableType = mkOption {
      type = types.str;
      default = "legacy";
    };
    proxmox.filenameSuffix = mkOption {
      type = types.str;
      default = "nixos";
    };
    proxmox.qemuConf.additionalSpace = mkOption {
      type = types.str;
      default = "512M";
    };
    proxmox.qemuConf.bootSize = mkOption {
      type = types.str;
      default = "256M";
    };
  };
  config = {
    image.baseName = lib.mkDefault "vzdump-qemu-${config.proxmox.filenameSuffix}";
    image.extension = "vma.zst";
    boot.loader.grub = {
      enable = lib.mkDefault true;
      device = "/dev/vda";
    };
    system.build.image = config.system.build.VMA;
    system.build.VMA = import ../../lib/make-disk-image.nix {
      inherit pkgs;
      inherit (config.image) baseName;
      name = "proxmox-${config.proxmox.filenameSuffix}";
      postVM = "mv $diskImage $out/${config.image.fileName}";
    };
  };
}
