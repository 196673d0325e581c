# An SD image in one derivation, laid out as nixpkgs' sd-image.nix does: a gap, a FAT partition for firmware, and the
# ext4 root at the end, where the first boot can grow it. Arguments have the names of that module's options:
# arguments.nix, or docs/nix.md.
import ./function.nix {
  name = "makeSdImage";
  make =
    {
      self,
      given,
      arguments,
    }:
    let
      inherit (arguments)
        pkgs
        lib
        firmwarePartitionName
        extraPartitions
        rootVolumeLabel
        directory
        plan
        ;
      format = (import ./compression.nix { inherit lib; }).of arguments.compressionFormat;
      gpt = arguments.partitionTable == "gpt";
      id = "0x${lib.removePrefix "0x" arguments.firmwarePartitionID}";
      hasFirmware = arguments.firmwareSize != 0;
      start = "${toString arguments.firmwarePartitionOffset}MiB";

      firmware = {
        inherit start;
        size = "${toString arguments.firmwareSize}MiB";
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
      // arguments.firmwarePartition;
      root =
        lib.optionalAttrs (!hasFirmware && extraPartitions == [ ]) { inherit start; }
        // {
          type = if gpt then "linux" else "83";
          content.kind = "root";
        }
        // lib.optionalAttrs (!hasFirmware) { bootable = true; }
        // lib.optionalAttrs gpt { name = rootVolumeLabel; }
        // arguments.rootPartition;

      table = import ./arguments.nix { inherit lib; };
      # The root's arguments by the names that makeExt4Fs has for them.
      ofRoot = {
        volumeLabel = rootVolumeLabel;
        uuid =
          if arguments.rootPartitionUUID != null then arguments.rootPartitionUUID else table.defaultUUID;
      };

      image = import ./disk-image.nix {
        arguments = arguments // ofRoot;
        disk = {
          table = arguments.partitionTable;
          partitions = lib.optional hasFirmware firmware ++ extraPartitions ++ [ root ];
          inherit (arguments) blobs;
        }
        // lib.optionalAttrs (!gpt) { inherit id; };
        populateCommands = ''
          mkdir -p ./firmware
          ${arguments.populateFirmwareCommands}
        '';
        passthru = {
          uncompressed = variant false;
          compressed = variant true;
          tests = import ./sd-image-tests.nix {
            inherit pkgs lib image;
            inherit (format) tool;
            plain = fileOf image.uncompressed "";
            compressed = fileOf image.compressed format.suffix;
            root = if bare == null || arguments.postBuildCommands != "" then null else bare;
          };
        }
        // lib.optionalAttrs (bare != null) { root = bare; };
      };
      fileOf =
        result: suffix:
        if directory == null then "${result}" else "${result}/${directory}/${arguments.imageName}${suffix}";
      # The root as a bare file system, unless its partition has a size, which the file system fills then.
      bare =
        if arguments.rootPartition ? size then
          null
        else
          import ./make-ext4-fs.nix (
            # What both functions take, but only what was given: a sealed root is given no free space.
            builtins.intersectAttrs (lib.functionArgs (import ./make-ext4-fs.nix)) given
            // ofRoot
            // {
              inherit pkgs lib;
              compressImage = false;
              populateImageCommands = arguments.populateRootCommands;
              plan = removeAttrs plan [
                "disk"
                "output"
              ];
            }
          );
      variant =
        compress:
        if compress == arguments.compressImage then
          image
        else
          self (removeAttrs given [ "name" ] // { compressImage = compress; });
    in
    image;
}
