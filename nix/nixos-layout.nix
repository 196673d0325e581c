# Partitions of the disks that nixpkgs' make-disk-image.nix makes, by partitionTableType: the same numbers, names, types,
# places and GUIDs. Sizes are in MiB.
{ lib }:
let
  inherit (import ./values.nix { inherit lib; }) no;
  verity = import ./verity.nix { inherit lib; };
  mib = number: "${toString number}MiB";

  # The GUIDs that nixpkgs' call of sgdisk leaves in the table. For the disk's, nixpkgs gives a GUID that has one digit
  # too few; this is what sgdisk reads it as.
  guids = {
    disk = "97fd5997-f390-0b4a-a3f8-d106c1723aea";
    first = "1c06f03b-704e-4657-b9cd-681a087a2fdc";
    second = "970c694f-afd0-4b99-b750-cdb7a329ab6f";
  };

  fat = label: id: {
    kind = "fat";
    inherit label id;
  };
  esp = ids: end: {
    type = "esp";
    name = "ESP";
    guid = guids.first;
    start = mib 8;
    size = mib (end - 8);
    content = fat "ESP" ids.esp;
  };
  root = start: fields: fields // {
    start = mib start;
    content.kind = "root";
  };
  linux =
    name: guid:
    {
      type = "linux";
      inherit name guid;
    };

  tables = ids: bootEnd: rootGPUID: {
    legacy = {
      table = "mbr";
      partitions = [ (root 1 { type = "83"; }) ];
    };
    "legacy+boot" = {
      table = "mbr";
      partitions = [
        {
          type = "0c";
          bootable = true;
          start = mib 1;
          size = mib (bootEnd - 1);
          content = fat "BOOT" ids.xbootldr;
        }
        (root bootEnd { type = "83"; })
      ];
    };
    "legacy+gpt" = {
      table = "gpt";
      partitions = [
        {
          type = "bios-boot";
          name = "no-fs";
          guid = guids.first;
          start = mib 1;
          size = mib 1;
        }
        # nixpkgs gives rootGPUID to a third partition, which is not there.
        (root 2 (linux "primary" guids.second))
      ];
    };
    efi = {
      table = "gpt";
      partitions = [
        (esp ids bootEnd)
        (root bootEnd (linux "primary" rootGPUID))
      ];
    };
    efixbootldr = {
      table = "gpt";
      partitions = [
        (esp ids 100)
        {
          type = "xbootldr";
          name = "BOOT";
          guid = guids.second;
          start = mib 100;
          size = mib (bootEnd - 100);
          content = fat "BOOT" ids.xbootldr;
        }
        (root bootEnd (linux "ROOT" rootGPUID))
      ];
    };
    hybrid = {
      table = "gpt";
      partitions = [
        (esp ids bootEnd)
        # From the end of the table to the first MiB.
        {
          type = "bios-boot";
          name = "no-fs";
          guid = guids.second;
          start = 34 * 512;
          size = (2048 - 34) * 512;
        }
        (root bootEnd (linux "primary" rootGPUID))
      ];
    };
  };

  # The MiB before the root, of which its start is made.
  rootStart = bootEnd: {
    legacy = 1;
    "legacy+boot" = bootEnd;
    "legacy+gpt" = 2;
    efi = bootEnd;
    efixbootldr = bootEnd;
    hybrid = bootEnd;
  };

  withGpt = lib.filter (name: (tables { } 0 "").${name}.table == "gpt") (lib.attrNames (tables { } 0 ""));
in
{
  # Why a root in such a table can't have a hash tree.
  verityProblems =
    partitionTableType:
    no (
      partitionTableType == "" || lib.elem partitionTableType withGpt
    ) "the hash tree needs a partition table that has GUIDs, and partitionTableType is ${partitionTableType}; choose one of ${lib.concatStringsSep ", " withGpt}";

  # Those with an EFI system partition.
  withEsp = [
    "efi"
    "efixbootldr"
    "hybrid"
  ];

  names = lib.attrNames (tables { } 0 "") ++ [ "none" ];

  # Where the first MiB after the boot partition begins. numfmt and the rounding of make-disk-image.nix: a size of whole
  # MiB is rounded up too, so "256M" ends at 257 MiB.
  bootEnd = bytes: bytes / (1024 * 1024) + 1;

  # Serial numbers of FAT file systems, of the root's UUID: the numbers, and as GRUB and Linux call them.
  serials =
    uuid:
    let
      digits = lib.replaceStrings [ "-" ] [ "" ] (lib.toUpper uuid);
      at = start: builtins.substring start 4 digits;
      of = start: {
        number = "0x${at start}${at (start + 4)}";
        name = "${at start}-${at (start + 4)}";
      };
    in
    {
      esp = of 0;
      xbootldr = of 8;
    };

  # The plan's section, or null for no table. diskSize null: as long as the contents need.
  disk =
    {
      partitionTableType,
      bootEnd,
      diskSize,
      rootGPUID,
      # Serial numbers of the FAT file systems by the partitions' types.
      ids,
      # The type of the root, if it has a hash tree.
      verityType ? null,
    }:
    let
      table = (tables ids bootEnd rootGPUID).${partitionTableType};
      gpt = table.table == "gpt";
      start = (rootStart bootEnd).${partitionTableType};
      # parted's 100%: the last whole MiB before the copy of a GPT.
      size = diskSize - start - (if gpt then 1 else 0);
      section = {
        inherit (table) table;
        partitions = map (
          partition:
          if partition.content.kind or null != "root" then
            partition
          else if verityType != null then
            # As long as its contents. Its GUID is half of the root hash.
            removeAttrs partition [ "guid" ] // { type = verityType; }
          else if diskSize != null then
            partition // { size = mib size; }
          else
            partition
        ) table.partitions;
      }
      // lib.optionalAttrs gpt { id = guids.disk; }
      // lib.optionalAttrs (diskSize != null) { size = mib diskSize; };
    in
    if partitionTableType == "none" then
      null
    else if verityType == null then
      section
    else
      verity.withTree section;

  # The least diskSize in MiB with room for any root.
  least =
    { partitionTableType, bootEnd }:
    if partitionTableType == "none" then
      1
    else
      (rootStart bootEnd).${partitionTableType} or 1 + 2;
}
