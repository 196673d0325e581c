# packages.sdImage and other SD images: the partitions are where the table says and sound, the root is the file system
# that makeExt4Fs makes of the same, and what was asked for is there.
{
  pkgs,
  lib,
  packages,
  makeSdImage,
  ...
}:
let
  arguments = {
    storePaths = [ pkgs.greeter or pkgs.hello ];
    populateRootCommands = "mkdir -p ./files/boot; echo root > ./files/boot/name";
    populateFirmwareCommands = ''
      mkdir -p firmware/overlays
      echo 'kernel=u-boot.bin' > firmware/config.txt
      echo overlay > firmware/overlays/a-long-name.dtbo
    '';
    freeSpace = "4MiB";
  };
  loader = pkgs.runCommand "loader" { } ''printf 'boot loader' > "$out"'';
  images = {
    default = packages.sdImage;
    plain = makeSdImage arguments;
    compressed = makeSdImage (arguments // { compressImage = true; });
    gpt = makeSdImage (arguments // { partitionTable = "gpt"; });
    bare = makeSdImage (arguments // { firmwareSize = 0; });
    wide = makeSdImage (
      arguments
      // {
        firmwarePartitionOffset = 1;
        firmwareSize = 64;
        firmwarePartitionID = "1234abcd";
        firmwarePartitionName = "BOOT";
        extraPartitions = [
          {
            type = "da";
            size = "1MiB";
          }
        ];
        rootPartition.size = "80MiB";
        directory = "sd-image";
      }
    );
  };
  withLoader = makeSdImage (
    arguments
    // {
      blobs = [
        {
          source = loader;
          offset = "8KiB";
        }
      ];
    }
  );
  # The same by commands.
  changed =
    compressImage:
    makeSdImage (
      arguments
      // {
        inherit compressImage;
        postBuildCommands = ''
          test -e firmware/config.txt
          dd if=${loader} of=$img bs=1024 seek=8 conv=notrunc status=none
          # A comment at the end must not swallow what follows'';
      }
    );
in
pkgs.runCommand "check-sd-image"
  {
    tests = lib.concatMap (kind: lib.mapAttrsToList (_name: test: "${test}") images.${kind}.tests) (
      lib.attrNames images
    );
    nativeBuildInputs = [
      pkgs.dosfstools
      pkgs.mtools
      pkgs.util-linux
      pkgs.zstd
    ];
  }
  ''
    sfdisk -d ${images.default} | tee table
    grep -q 'label-id: 0x2178694e' table
    grep -q 'start= *16384, size= *61440, type=b, bootable' table
    mtype -i ${images.default}@@8M ::/config.txt | grep -x 'kernel=u-boot.bin'
    mtype -i ${images.plain}@@8M ::/overlays/a-long-name.dtbo | grep -x overlay

    wide=${images.wide}/sd-image/sd-image.img
    grep -x "file sd-image $wide" ${images.wide}/nix-support/hydra-build-products
    sfdisk -d "$wide" > table
    grep -q 'label-id: 0x1234abcd' table
    grep -q 'start= *2048, size= *131072, type=b, bootable' table
    grep -q 'start= *133120, size= *2048, type=da' table
    grep -q 'start= *135168, size= *163840, type=83$' table
    blkid -p --offset 1048576 "$wide" | grep 'LABEL="BOOT" .*UUID="1234-ABCD"'

    sfdisk -d ${images.gpt} | tee table
    grep -q 'label: gpt' table
    grep -qi 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B.*name="FIRMWARE"' table
    test "$(sfdisk -d ${images.bare} | grep -c 'start= *16384,.*type=83, bootable')" = 1

    cmp ${withLoader} ${changed false}
    dd if=${withLoader} bs=1 skip=8192 count=11 status=none | cmp - ${loader}
    cp ${images.plain} expected
    chmod u+w expected
    dd if=${loader} of=expected bs=1024 seek=8 conv=notrunc status=none
    cmp expected ${withLoader}
    zstd -dc ${changed true} | cmp - ${withLoader}
    printf '%s\n' $tests > "$out"
  ''
