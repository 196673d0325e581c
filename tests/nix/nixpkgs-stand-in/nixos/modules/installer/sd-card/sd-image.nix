# The options by which nixpkgs' module of this name has its root file system made, and an image around the result.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.sdImage;
in
{
  options.sdImage = {
    storePaths = mkOption { type = types.listOf types.package; };
    compressImage = mkOption {
      type = types.bool;
      default = true;
    };
    populateRootCommands = mkOption {
      type = types.lines;
      default = "";
    };
    populateFirmwareCommands = mkOption {
      type = types.lines;
      default = "";
    };
    rootPartitionUUID = mkOption {
      type = types.nullOr types.str;
      default = null;
    };
    rootVolumeLabel = mkOption {
      type = types.str;
      default = "NIXOS_SD";
    };
    rootFilesystemCreator = mkOption {
      type = types.oneOf [
        types.package
        types.path
      ];
      default = ../../../lib/make-ext4-fs.nix;
    };
    rootFilesystemImage = mkOption {
      type = types.package;
      default = pkgs.callPackage cfg.rootFilesystemCreator (
        {
          inherit (cfg) storePaths compressImage;
          populateImageCommands = cfg.populateRootCommands;
          volumeLabel = cfg.rootVolumeLabel;
        }
        // lib.optionalAttrs (cfg.rootPartitionUUID != null) { uuid = cfg.rootPartitionUUID; }
      );
    };
  };

  config = {
    sdImage.storePaths = [ config.system.build.toplevel ];
    system.build.sdImage = pkgs.stdenv.mkDerivation {
      name = "sd-image";
      root = cfg.rootFilesystemImage;
      nativeBuildInputs = [
        pkgs.buildPackages.util-linux
        pkgs.buildPackages.zstd
      ];
      buildCommand = ''
        mkdir -p "$out/sd-image"
        img=$out/sd-image/nixos.img
        case $root in *.zst*) zstd -d --no-progress "$root" -o root.img ;; *) cp "$root" root.img ;; esac
        truncate -s $(($(stat -c %s root.img) + (8 << 20))) "$img"
        printf 'label: dos\nstart=8MiB, type=83, bootable\n' | sfdisk --quiet "$img"
        dd if=root.img of="$img" bs=1M seek=8 conv=notrunc,sparse status=none
      '';
    };
  };
}
