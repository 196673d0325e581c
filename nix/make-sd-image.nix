# An SD image in one derivation, laid out as nixpkgs' sd-image.nix does: a gap, a FAT partition for firmware, and the
# ext4 root at the end, where the first boot can grow it. Arguments have the names of that module's options; every one:
# docs/nix.md.
let
  makeSdImage =
    {
      pkgs,
      lib ? pkgs.lib,

      # Store paths (or a single one) whose closure fills the root's store.
      storePaths,
      # Shell commands that fill ./files, which is laid over the root of the root file system.
      populateRootCommands ? "",
      rootVolumeLabel ? "NIXOS_SD",
      # UUID of the root file system; null for that of nixpkgs.
      rootPartitionUUID ? null,

      # Shell commands that fill ./firmware, which is copied into the first partition.
      populateFirmwareCommands ? "",
      # The gap in front of the first partition, in MiB.
      firmwarePartitionOffset ? 8,
      # Its length in MiB; 0 for no such partition.
      firmwareSize ? 30,
      # Eight hexadecimal digits after 0x: the id of the FAT file system, and with "mbr" of the disk.
      firmwarePartitionID ? "0x2178694e",
      # Name of the FAT file system, at most 11 bytes.
      firmwarePartitionName ? "FIRMWARE",

      # "mbr" or "gpt".
      partitionTable ? "mbr",
      # Bytes outside of the partitions: [ { source = "${uboot}/u-boot-sunxi-with-spl.bin"; offset = "8KiB"; } ]
      blobs ? [ ],
      # Partitions between these two, as the plan has them.
      extraPartitions ? [ ],
      # Laid over the two partitions, field by field: { size = "4GiB"; }
      firmwarePartition ? { },
      rootPartition ? { },

      # Whether the image is compressed with zstd, and has `.zst` added to its name.
      compressImage ? false,
      imageBaseName ? "sd-image",
      imageName ? "${imageBaseName}.img",
      # Name of the result, where it is not that of the image.
      name ? imageName + lib.optionalString compressImage ".zst",
      # null: the result is the image. "sd-image": the result is a folder as nixpkgs makes it, with the image in
      # sd-image/.
      directory ? null,
      # Shell commands that change the finished image $img, before it is compressed. What `blobs` can say needs none.
      postBuildCommands ? "",

      # --- as in make-ext4-fs.nix, of the root ---

      freeSpace ? "32MiB",
      freeInodes ? 1024,
      growTo ? "1TiB",
      seal ? false,
      entries ? { },
      attributes ? { },
      trees ? [ ],
      compressionLevel ? 3,
      verify ? "size",
      deduplicate ? false,
      nixDatabase ? false,
      verifyOutput ? false,
      keepReferences ? false,
      plan ? { },
      snugfs ? null,
      ...
    }@given:
    let
      inherit (import ./values.nix { inherit lib; })
        aCount
        aSet
        aSize
        aSource
        aString
        andThen
        eachOf
        is
        no
        oneOf
        show
        ;
      inherit (builtins)
        isAttrs
        isString
        match
        stringLength
        ;
      aPartition = is "a set, as the plan has partitions" isAttrs;

      wrong = {
        populateFirmwareCommands = aString populateFirmwareCommands;
        firmwarePartitionOffset = aCount firmwarePartitionOffset;
        firmwareSize = aCount firmwareSize;
        firmwarePartitionID = is ''a number of 32 bits such as "0x2178694e"'' (
          v: isString v && match "(0x)?[0-9a-fA-F]{1,8}" v != null
        ) firmwarePartitionID;
        firmwarePartitionName = andThen (aString firmwarePartitionName) (
          no (
            stringLength firmwarePartitionName <= 11
          ) "${show firmwarePartitionName} has ${toString (stringLength firmwarePartitionName)} bytes; FAT has room for 11"
          # By a name in lower case it would not be found when it is mounted.
          ++ no (
            lib.toUpper firmwarePartitionName == firmwarePartitionName
          ) "${show firmwarePartitionName} has lower case letters, which names of FAT file systems have not; write ${show (lib.toUpper firmwarePartitionName)}"
        );
        partitionTable = oneOf [
          "mbr"
          "gpt"
        ] partitionTable;
        blobs = eachOf "blobs" (
          blob:
          andThen (is "a set with source and offset" (b: isAttrs b && b ? source && b ? offset) blob) (
            aSet {
              source = aSource;
              offset = aSize;
            } blob
          )
        ) blobs;
        extraPartitions = eachOf "partitions" aPartition extraPartitions;
        firmwarePartition = aPartition firmwarePartition;
        rootPartition = aPartition rootPartition;
        imageBaseName = aString imageBaseName;
      };

      gpt = partitionTable == "gpt";
      id = if lib.hasPrefix "0x" firmwarePartitionID then firmwarePartitionID else "0x${firmwarePartitionID}";
      hasFirmware = firmwareSize != 0;
      start = "${toString firmwarePartitionOffset}MiB";

      firmware = {
        inherit start;
        size = "${toString firmwareSize}MiB";
        type = if gpt then "esp" else "0b";
        bootable = true;
        content = {
          kind = "fat";
          source = "firmware";
          label = firmwarePartitionName;
          inherit id;
        };
      }
      // lib.optionalAttrs gpt { name = firmwarePartitionName; }
      // firmwarePartition;
      root =
        lib.optionalAttrs (!hasFirmware && extraPartitions == [ ]) { inherit start; }
        // {
          type = if gpt then "linux" else "83";
          content.kind = "root";
        }
        // lib.optionalAttrs (!hasFirmware) { bootable = true; }
        // lib.optionalAttrs gpt { name = rootVolumeLabel; }
        // rootPartition;

      ofRoot = {
        inherit
          storePaths
          freeSpace
          freeInodes
          growTo
          seal
          entries
          attributes
          trees
          compressImage
          compressionLevel
          verify
          deduplicate
          nixDatabase
          verifyOutput
          keepReferences
          snugfs
          pkgs
          lib
          ;
        volumeLabel = rootVolumeLabel;
      }
      // lib.optionalAttrs (rootPartitionUUID != null) { uuid = rootPartitionUUID; };

      image = import ./make-disk-image.nix (
        ofRoot
        // {
          disk = {
            table = partitionTable;
            partitions = lib.optional hasFirmware firmware ++ extraPartitions ++ [ root ];
            inherit blobs;
          }
          // lib.optionalAttrs (!gpt) { inherit id; };
          populateCommands = ''
            mkdir -p ./firmware
            ${populateFirmwareCommands}
          '';
          inherit
            populateRootCommands
            postBuildCommands
            imageName
            directory
            name
            plan
            ;
          caller = {
            function = "makeSdImage";
            known = builtins.functionArgs makeSdImage;
            inherit given wrong;
          };
          passthru = {
            uncompressed = variant false;
            compressed = variant true;
            tests = import ./sd-image-tests.nix {
              inherit pkgs lib image;
              plain = fileOf image.uncompressed "";
              compressed = fileOf image.compressed ".zst";
              root = if bare == null || postBuildCommands != "" then null else bare;
            };
          }
          // lib.optionalAttrs (bare != null) { root = bare; };
        }
      );
      fileOf =
        result: suffix:
        if directory == null then "${result}" else "${result}/${directory}/${imageName}${suffix}";
      # The root as a bare file system. Where its partition says how long it is, the file system fills that instead.
      bare =
        if rootPartition ? size then
          null
        else
          import ./make-ext4-fs.nix (
            ofRoot
            // {
              compressImage = false;
              populateImageCommands = populateRootCommands;
              plan = removeAttrs plan [
                "disk"
                "output"
              ];
            }
          );
      variant =
        compress:
        if compress == compressImage then
          image
        else
          makeSdImage (removeAttrs given [ "name" ] // { compressImage = compress; });
    in
    image;
in
makeSdImage
