# An SD image with a FAT firmware partition and an ext4 root, without NixOS: for tests, and as an example.
{
  pkgs,
  makeExt4Fs,
  # As makeExt4Fs has them.
  storePaths,
  populateImageCommands ? "",
  # Shell commands that fill ./firmware, which is copied into the first partition.
  populateFirmwareCommands ? "",
  # Where the first partition begins, and its length, in MiB.
  firmwarePartitionOffset ? 8,
  firmwareSize ? 30,
  # Eight hexadecimal digits: the id of the partition table and of the FAT file system.
  id ? "2178694e",
}:
let
  root = makeExt4Fs {
    inherit storePaths populateImageCommands;
    volumeLabel = "NIXOS_SD";
  };
  inherit (pkgs) buildPackages;
in
pkgs.stdenv.mkDerivation {
  name = "sd-image.img";
  nativeBuildInputs = [
    buildPackages.dosfstools
    buildPackages.mtools
    buildPackages.util-linux
  ];
  passthru = { inherit root; };

  buildCommand = ''
    root=${root}
    firmwareStart=$((${toString firmwarePartitionOffset} * 2048))
    firmwareSectors=$((${toString firmwareSize} * 2048))
    rootStart=$((firmwareStart + firmwareSectors))
    rootSectors=$((($(stat -c %s "$root") + 511) / 512))

    truncate -s $(((rootStart + rootSectors) * 512)) "$out"
    sfdisk --quiet --no-reread --no-tell-kernel "$out" <<END
    label: dos
    label-id: 0x${id}
    start=$firmwareStart, size=$firmwareSectors, type=b, bootable
    start=$rootStart, size=$rootSectors, type=83
    END

    (
    mkdir firmware
    ${populateFirmwareCommands}
    )
    # mcopy keeps the files' times, and mmd asks the clock through SOURCE_DATE_EPOCH.
    export SOURCE_DATE_EPOCH=946684800
    find firmware -exec touch --date=@$SOURCE_DATE_EPOCH {} +
    truncate -s $((firmwareSectors * 512)) firmware.img
    mkfs.vfat --invariant -i ${id} -n FIRMWARE firmware.img
    (
    cd firmware
    find . -mindepth 1 -type d | LC_ALL=C sort | while read -r directory; do
      mmd -i ../firmware.img "::/$directory"
    done
    find . -type f | LC_ALL=C sort | while read -r file; do
      mcopy -pm -i ../firmware.img "$file" "::/$file"
    done
    )
    fsck.vfat -vn firmware.img

    dd if=firmware.img of="$out" bs=1M seek=${toString firmwarePartitionOffset} conv=notrunc,sparse status=none
    dd if="$root" of="$out" bs=1M seek=$((rootStart / 2048)) conv=notrunc,sparse status=none
  '';
}
