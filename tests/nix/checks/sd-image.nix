# packages.sdImage: two partitions, of which the first holds the firmware and the second is the root file system.
{
  pkgs,
  packages,
  ...
}:
let
  inherit (packages) sdImage;
in
pkgs.runCommand "check-sd-image"
  {
    nativeBuildInputs = [
      pkgs.e2fsprogs
      pkgs.mtools
      pkgs.util-linux
    ];
  }
  ''
    sfdisk -d ${sdImage} | tee "$out"
    grep -q 'label-id: 0x2178694e' "$out"
    grep -q 'start= *16384, size= *61440, type=b, bootable' "$out"
    mdir -b -i ${sdImage}@@8M ::
    truncate -s 0 root.img
    dd if=${sdImage} of=root.img bs=1M skip=38 status=none
    cmp root.img ${sdImage.root}
    e2fsck -fn root.img
  ''
