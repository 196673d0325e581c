# The options of nixpkgs' module of this name, and an SD image made in the same steps: the root file system as an image
# of its own, decompressed, a partition table, the firmware's FAT file system, both copied into place.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.sdImage;
  option = type: default: mkOption { inherit type default; };
  name = "${config.image.baseName}.img";
  suffix = lib.optionalString cfg.compressImage ".zst";
in
{
  options.image = {
    baseName = option types.str "nixos-image";
    extension = mkOption { type = types.str; };
    fileName = option types.str "${config.image.baseName}.${config.image.extension}";
    filePath = option types.str config.image.fileName;
  };
  options.sdImage = {
    storePaths = mkOption { type = types.listOf types.package; };
    compressImage = option types.bool true;
    populateRootCommands = option types.lines "";
    populateFirmwareCommands = option types.lines "";
    postBuildCommands = option types.lines "";
    firmwarePartitionOffset = option types.int 8;
    firmwarePartitionID = option types.str "0x2178694e";
    firmwarePartitionName = option types.str "FIRMWARE";
    firmwareSize = option types.int 30;
    rootPartitionUUID = option (types.nullOr types.str) null;
    rootVolumeLabel = option types.str "NIXOS_SD";
    rootFilesystemCreator = option (types.oneOf [
      types.package
      types.path
    ]) ../../../lib/make-ext4-fs.nix;
    rootFilesystemImage = option types.package (
      pkgs.callPackage cfg.rootFilesystemCreator (
        {
          inherit (cfg) storePaths compressImage;
          populateImageCommands = cfg.populateRootCommands;
          volumeLabel = cfg.rootVolumeLabel;
        }
        // lib.optionalAttrs (cfg.rootPartitionUUID != null) { uuid = cfg.rootPartitionUUID; }
      )
    );
  };

  config = {
    sdImage.storePaths = [ config.system.build.toplevel ];
    image.extension = "img${suffix}";
    image.filePath = "sd-image/${config.image.fileName}";
    system.build.image = config.system.build.sdImage;
    system.build.sdImage = pkgs.stdenv.mkDerivation {
      name = config.image.fileName;
      root = cfg.rootFilesystemImage;
      nativeBuildInputs = [
        pkgs.buildPackages.dosfstools
        pkgs.buildPackages.libfaketime
        pkgs.buildPackages.mtools
        pkgs.buildPackages.util-linux
        pkgs.buildPackages.zstd
      ];
      buildCommand = ''
        mkdir -p "$out/sd-image" "$out/nix-support"
        export img=$out/sd-image/${name}
        echo ${pkgs.stdenv.buildPlatform.system} > "$out/nix-support/system"
        echo "file sd-image $img${suffix}" > "$out/nix-support/hydra-build-products"

        case $root in *.zst*) zstd -d --no-progress "$root" -o root.img; root=root.img ;; esac
        sectors=$((($(stat -Lc %s "$root") + 511) / 512))
        firmware=$((${toString cfg.firmwareSize} * 2048))
        gap=$((${toString cfg.firmwarePartitionOffset} * 2048))
        truncate -s $(((gap + firmware + sectors) * 512)) "$img"
        sfdisk --no-reread --no-tell-kernel "$img" <<END
        label: dos
        label-id: ${cfg.firmwarePartitionID}
        start=$gap, size=$firmware, type=b, bootable
        start=$((gap + firmware)), type=83
        END
        dd if="$root" of="$img" bs=512 seek=$((gap + firmware)) conv=notrunc status=none

        truncate -s $((firmware * 512)) firmware.img
        mkfs.vfat --invariant -i ${cfg.firmwarePartitionID} -n ${cfg.firmwarePartitionName} firmware.img
        mkdir firmware
        ${cfg.populateFirmwareCommands}
        find firmware -exec touch --date=2000-01-01 {} +
        cd firmware
        find . -mindepth 1 -type d | sort | while read -r directory; do
          faketime "2000-01-01 00:00:00" mmd -i ../firmware.img "::/$directory"
        done
        find . -type f | sort | while read -r file; do mcopy -pm -i ../firmware.img "$file" "::/$file"; done
        cd ..
        fsck.vfat -vn firmware.img
        dd if=firmware.img of="$img" bs=512 seek=$gap conv=notrunc status=none

        ${cfg.postBuildCommands}
        ${lib.optionalString cfg.compressImage ''zstd --quiet -T"$NIX_BUILD_CORES" --rm "$img"''}
      '';
    };
  };
}
