{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.image;
in
{
  imports = [
    ./disk-size-option.nix
    ../image/file-options.nix
  ];
  options.image = {
    format = mkOption {
      type = types.enum [
        "raw"
        "qcow2"
      ];
      default = "qcow2";
    };
    efiSupport = mkOption {
      type = types.bool;
      default = true;
    };
  };
  config = {
    boot.loader.grub = lib.mkIf (!cfg.efiSupport) {
      enable = lib.mkDefault true;
      devices = lib.mkDefault [ "/dev/vda" ];
    };
    boot.loader.systemd-boot.enable = lib.mkDefault cfg.efiSupport;
    image.extension = if cfg.format == "raw" then "img" else cfg.format;
    system.build.image = import ../../lib/make-disk-image.nix {
      inherit pkgs;
      inherit (cfg) baseName format;
    };
  };
}
