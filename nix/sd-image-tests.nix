# What every SD image must satisfy, as derivations: `nix-build -A image.tests`. Judged by tools that are not ours.
{
  pkgs,
  lib,
  image,
  # The uncompressed image's file, and the compressed one's.
  plain,
  compressed,
  # What decompresses it.
  tool,
  # The root as a bare file system, or null.
  root,
}:
let
  inherit (pkgs) buildPackages;
  inherit (image.plan.disk) partitions;
  kind = partition: partition.content.kind or "none";
  commands = {
    fat = ''
      fsck.vfat -vn part
      mdir -/ -b -i part ::
    '';
    root = ''
      e2fsck -fn part
    ''
    + lib.optionalString (root != null) ''
      cmp part ${root}
    '';
    ext4 = ''
      e2fsck -fn part
    '';
  };
in
{
  # Each partition is where the table says, and sound; the root is the bare file system of the same arguments.
  partitions =
    buildPackages.runCommand "sd-image-partitions"
      {
        nativeBuildInputs = [
          buildPackages.dosfstools
          buildPackages.e2fsprogs
          buildPackages.jq
          buildPackages.mtools
          buildPackages.util-linux
        ];
      }
      ''
        image=${plain}
        sfdisk --verify "$image"
        sfdisk --json "$image" > table
        test "$(jq '.partitiontable.partitions | length' table)" = ${toString (lib.length partitions)}
        take() {
          start=$(jq ".partitiontable.partitions[$1].start" table)
          size=$(jq ".partitiontable.partitions[$1].size" table)
          rm -f part
          dd if="$image" of=part bs=512 skip="$start" count="$size" conv=sparse status=none
          truncate -s $((size * 512)) part
        }
        ${lib.concatStrings (
          lib.imap0 (number: partition: ''
            take ${toString number}
            ${commands.${kind partition} or ""}
          '') partitions
        )}
        cp table "$out"
      '';

  # The compressed image is the other one, compressed.
  compressed =
    buildPackages.runCommand "sd-image-compressed" { nativeBuildInputs = [ buildPackages.${tool} ]; }
      ''
        ${tool} -dc ${compressed} > image
        cmp image ${plain}
        touch "$out"
      '';
}
