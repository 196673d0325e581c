# A NixOS configuration whose SD image is made in one pass, beside the one that nixpkgs' sd-image.nix makes of the same
# options around our root: the same files under the same names, the same table, the same root to the byte, and the same
# files in the firmware partition.
{
  pkgs,
  lib,
  module,
  ...
}:
let
  evaluate =
    modules:
    (import (pkgs.path + "/nixos/lib/eval-config.nix") {
      system = null;
      inherit pkgs;
      modules = [
        (pkgs.path + "/nixos/modules/installer/sd-card/sd-image.nix")
        module
        {
          sdImage = {
            # Not a whole system: it would say nothing more.
            storePaths = lib.mkForce [ pkgs.hello ];
            populateFirmwareCommands = ''
              mkdir -p firmware/overlays
              echo 'arm_64bit=1' > firmware/config.txt
              seq 100000 > firmware/overlays/numbers.dtbo
              : > firmware/empty
            '';
            populateRootCommands = "mkdir -p ./files/boot; echo boot > ./files/boot/extlinux.conf";
            firmwarePartitionOffset = 4;
            firmwarePartitionName = "BOOT";
            rootPartitionUUID = "14e19a7b-0ae0-484d-9d54-43bd6fdc20c7";
            snugfs.freeSpace = "4MiB";
          };
          system.stateVersion = "25.11";
        }
      ]
      ++ modules;
    }).config;
  kinds = {
    compressed = { };
    raw.sdImage.compressImage = false;
    changed.sdImage.postBuildCommands = "printf loader | dd of=$img bs=1024 seek=8 conv=notrunc status=none";
  };
  compare =
    modules:
    let
      nixpkgs = evaluate [ modules ];
      ours = evaluate [
        modules
        { sdImage.snugfs.onePass = true; }
      ];
    in
    ''
      compare ${nixpkgs.system.build.sdImage} ${ours.system.build.sdImage} ${
        ours.image.filePath or "sd-image/${ours.sdImage.imageName}"
      }
    '';
in
pkgs.runCommand "check-nixos-one-pass"
  {
    nativeBuildInputs = [
      pkgs.dosfstools
      pkgs.e2fsprogs
      pkgs.mtools
      pkgs.util-linux
      pkgs.zstd
    ];
  }
  ''
    # theirs, ours, path of the image in both
    compare() {
      diff <(cd $1; find . | sort) <(cd $2; find . | sort)
      test -f "$2/$3"
      cmp $1/nix-support/system $2/nix-support/system
      diff <(sed "s|$1|OUT|" $1/nix-support/hydra-build-products) <(sed "s|$2|OUT|" $2/nix-support/hydra-build-products)
      local which
      for which in 1 2; do
        rm -rf $which.img $which.files
        case $3 in
          *.zst) zstd -dc "''${!which}/$3" > $which.img ;;
          *) cp "''${!which}/$3" $which.img ;;
        esac
        sfdisk -d $which.img | grep -v '^device\|^last-lba' | sed 's/^.*img//' > $which.table
        sfdisk --verify $which.img
        # Everything outside of the firmware partition.
        dd if=$which.img of=$which.before bs=1M count=4 status=none
        dd if=$which.img of=$which.firmware bs=1M skip=4 count=30 status=none
        dd if=$which.img of=$which.root bs=1M skip=34 status=none
        fsck.vfat -vn $which.firmware
        # Size, kind of FAT, label, serial number; the sum of what every file holds; names and times.
        blkid -p -o export $which.firmware | grep -v DEVNAME > $which.blkid
        mkdir $which.files
        mcopy -s -n -m -i $which.firmware '::*' $which.files/
        (cd $which.files; find . -type f | sort | xargs sha256sum; find . -printf '%P %y %s %t\n' | grep -v '^ ' | sort) > $which.sums
      done
      cat 2.table 2.sums
      diff 1.table 2.table
      cmp 1.before 2.before
      cmp 1.root 2.root
      diff 1.blkid 2.blkid
      diff 1.sums 2.sums
      e2fsck -fn 2.root
    }
    ${lib.concatMapStrings compare (lib.attrValues kinds)}
    touch "$out"
  ''
