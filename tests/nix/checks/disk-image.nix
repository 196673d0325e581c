# makeDiskImage: a GPT disk with a FAT, a data and a root partition, each with what was asked for; the same disk as qcow2;
# a compressed one with a table of frames, and with a map for bmaptool beside it.
{
  pkgs,
  lib,
  makeDiskImage,
  ...
}:
let
  image =
    arguments:
    makeDiskImage (
      {
        storePaths = [ pkgs.hello ];
        volumeLabel = "root";
        freeSpace = "4MiB";
        closures.data = [ (pkgs.greeter or pkgs.jq) ];
        populateCommands = "mkdir -p esp/EFI/BOOT; echo loader > esp/EFI/BOOT/BOOTX64.EFI";
        disk = {
          table = "gpt";
          partitions = [
            {
              type = "esp";
              size = "64MiB";
              content = {
                kind = "fat";
                source = "esp";
                label = "ESP";
              };
            }
            {
              type = "linux";
              content = {
                kind = "ext4";
                closure = {
                  graph = "data";
                  inherit (builtins) storeDir;
                  sourceDir = builtins.storeDir;
                };
                filesystem.label = "data";
              };
            }
            {
              type = "root-x86-64";
              content.kind = "root";
            }
          ];
        };
      }
      // arguments
    );
  plain = image { };
  qcow2 = image {
    imageName = "disk.qcow2";
    plan.output.format = "qcow2";
  };
  framed = image {
    compressImage = true;
    directory = "disk-image";
    plan.output = {
      bmap = true;
      compression = {
        format = "zstd";
        level = 3;
        seekable = true;
      };
    };
  };
in
pkgs.runCommand "check-disk-image"
  {
    nativeBuildInputs = [
      pkgs.e2fsprogs
      pkgs.gptfdisk
      pkgs.jq
      pkgs.mtools
      pkgs.util-linux
      pkgs.zstd
    ];
  }
  ''
    sgdisk --verify ${plain}
    sfdisk --json ${plain} > table
    start() { echo $(($(jq ".partitiontable.partitions[$1].start" table) * 512)); }
    mtype -i ${plain}@@$(start 0) ::/EFI/BOOT/BOOTX64.EFI | grep -x loader
    # number, label
    ext4() {
      dd if=${plain} of=part bs=1M iflag=skip_bytes,count_bytes skip=$(start $1) status=none \
        count=$(($(jq ".partitiontable.partitions[$1].size" table) * 512))
      e2fsck -fn part
      dumpe2fs -h part 2>/dev/null | grep -x "Filesystem volume name: *$2"
    }
    ext4 1 data
    debugfs -R 'cat /nix-path-registration' part 2>/dev/null | grep -F ${pkgs.greeter or pkgs.jq}
    ext4 2 root
    debugfs -R 'cat /nix-path-registration' part 2>/dev/null | grep -F ${pkgs.hello}

    test "$(head -c 3 ${qcow2})" = QFI
    zstd -dc ${framed}/disk-image/disk.img.zst | cmp - ${plain}
    grep -q "<ImageSize> *$(stat -Lc %s ${plain}) *</ImageSize>" ${framed}/disk-image/disk.img.bmap
    touch "$out"
  ''
