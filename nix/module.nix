# NixOS module: the root file system of nixpkgs' SD image is made by snugfs, and nothing else changes; or, with `onePass`,
# the whole SD image, under the same path and by the same options.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.sdImage.snugfs;

  makeExt4Fs = import ./make-ext4-fs.nix;
  # Arguments of makeSdImage alone, under the same names.
  forDisks = [
    "blobs"
    "extraPartitions"
    "firmwarePartition"
    "partitionTable"
    "rootPartition"
  ];
  # Every other option is an argument of makeExt4Fs too, under the same name.
  sdImageArguments =
    removeAttrs cfg [
      "enable"
      "onePass"
      "package"
    ]
    // lib.optionalAttrs (cfg.package != null) { snugfs = cfg.package; };
  arguments = removeAttrs sdImageArguments forDisks;

  # The option takes a package or a path, and hands it to callPackage, which calls functions and sets that can be
  # called. A file could not carry the arguments: written at evaluation it may not name derivations, and built it
  # would be import from derivation. So this is a set that can be called and passes for a package; taken as a path,
  # it is the file.
  creator =
    lib.setFunctionArgs (given: makeExt4Fs (arguments // given)) (lib.functionArgs makeExt4Fs)
    // {
      type = "derivation";
      name = "make-ext4-fs.nix";
      outPath = toString ./make-ext4-fs.nix;
    };

  # --- the whole image in one pass ---

  sd = config.sdImage;
  # NixOS 25.05 gave all images' names options of their own; sdImage.imageName is an alias then, which warns.
  named =
    if options ? image.baseName then
      {
        name = config.image.fileName;
        imageName = "${config.image.baseName}.img";
      }
    else
      {
        name = sd.imageName;
        inherit (sd) imageName;
      };
  # Which partition boots was changed within NixOS 25.11, and no option says it: sd-image.nix itself does. A module
  # need not have a file: a declaration is also "<unknown-file>", whatever `_file` says, or a folder with a default.nix.
  bootsFromFirmware =
    let
      files = lib.concatMap (declaration: [
        (toString declaration)
        "${toString declaration}/default.nix"
      ]) options.sdImage.storePaths.declarations;
      isFile = file: lib.hasPrefix "/" file && lib.hasSuffix ".nix" file && builtins.pathExists file;
      says = file: lib.length (lib.splitString "type=b, bootable" (builtins.readFile file)) > 1;
    in
    lib.any says (lib.filter isFile files);
  # One that the user replaces would not be used.
  ownRoot =
    (options.sdImage ? rootFilesystemCreator && toString sd.rootFilesystemCreator != toString creator)
    || (options.sdImage.rootFilesystemImage.highestPrio or 1500) < 1500;
  onePassImage = pkgs.callPackage ./make-sd-image.nix (
    sdImageArguments
    // {
      inherit (sd)
        storePaths
        compressImage
        populateRootCommands
        populateFirmwareCommands
        firmwareSize
        firmwarePartitionID
        firmwarePartitionName
        rootPartitionUUID
        ;
      directory = "sd-image";
      firmwarePartition = {
        bootable = bootsFromFirmware;
      }
      // cfg.firmwarePartition;
      rootPartition = {
        bootable = !bootsFromFirmware;
      }
      // cfg.rootPartition;
    }
    // named
    # Older sd-image.nix have not these; their values were what the defaults are.
    // lib.filterAttrs (name: _value: options.sdImage ? ${name}) {
      inherit (sd) firmwarePartitionOffset postBuildCommands rootVolumeLabel;
    }
  );

  size = types.either types.ints.unsigned (types.strMatching "[0-9]+(KiB|MiB|GiB|TiB)?");
  missing = !(options.sdImage ? rootFilesystemCreator);
  hasSdImage = options.sdImage ? storePaths;
in
{
  options.sdImage.snugfs = {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether snugfs makes the root file system of the SD image.";
    };
    onePass = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether snugfs makes the whole SD image, `system.build.sdImage`, in one derivation and without an image of the
        root in between. The options of `sdImage`, the image's path and its name are the same.
      '';
    };
    blobs = mkOption {
      type = types.listOf types.attrs;
      default = [ ];
      example = lib.literalExpression ''[ { source = "${pkgs.ubootPine64}/u-boot-sunxi-with-spl.bin"; offset = "8KiB"; } ]'';
      description = ''
        Bytes outside of the partitions, such as boot loaders that a chip reads from a fixed place, with `onePass`. Unlike
        `postBuildCommands` they need no image that is written twice, and they cannot overwrite a partition.
      '';
    };
    partitionTable = mkOption {
      type = types.enum [
        "mbr"
        "gpt"
      ];
      default = "mbr";
      description = "The kind of partition table, with `onePass`.";
    };
    extraPartitions = mkOption {
      type = types.listOf types.attrs;
      default = [ ];
      example = [
        {
          type = "83";
          size = "64MiB";
        }
      ];
      description = "Partitions between the firmware's and the root, as snugfs' plan has them, with `onePass`.";
    };
    firmwarePartition = mkOption {
      type = types.attrs;
      default = { };
      example = {
        type = "0c";
      };
      description = "Laid over the firmware partition, as snugfs' plan has it, with `onePass`.";
    };
    rootPartition = mkOption {
      type = types.attrs;
      default = { };
      example = {
        size = "4GiB";
      };
      description = "Laid over the root partition, as snugfs' plan has it, with `onePass`.";
    };
    package = mkOption {
      type = types.nullOr types.package;
      default = null;
      description = ''
        The program, for the machine that builds the image. Without it, `pkgs.buildPackages.snugfs`, or where that is
        missing the sources beside this module built with `pkgs`.
      '';
    };
    freeSpace = mkOption {
      type = size;
      default = "32MiB";
      example = "256MiB";
      description = "How much room is free for files before the first boot grows the file system, exactly.";
    };
    freeInodes = mkOption {
      type = types.ints.unsigned;
      default = 1024;
      description = "How many more files can be made before the first boot grows the file system, at least.";
    };
    growTo = mkOption {
      type = types.nullOr size;
      default = "1TiB";
      description = ''
        Up to this size the file system grows online with no change of its features. `null` keeps no reserve.
      '';
    };
    entries = mkOption {
      type = types.attrsOf types.attrs;
      default = { };
      example = {
        "/dev/console" = {
          type = "character";
          major = 5;
          minor = 1;
          mode = "0600";
        };
      };
      description = "Single files, directories, symlinks and device nodes by their path in the image.";
    };
    attributes = mkOption {
      type = types.attrsOf types.attrs;
      default = { };
      example = {
        "/home/pi" = {
          uid = 1000;
          gid = 100;
          mode = "0700";
          recursive = true;
        };
      };
      description = ''
        Owner, mode and extended attributes by path, laid over what the rest of the image put there. This is how
        `populateRootCommands` gets owners and set-id bits, which the build sandbox forbids.
      '';
    };
    trees = mkOption {
      type = types.listOf types.attrs;
      default = [ ];
      example = lib.literalExpression ''[ { source = ./overlay; target = "/"; } ]'';
      description = "Folders laid over the image, besides the `./files` of `populateRootCommands`.";
    };
    compressionLevel = mkOption {
      type = types.ints.between 1 22;
      default = 3;
      description = ''
        zstd's level for the root file system where `sdImage.compressImage` is set. nixpkgs takes that image apart
        again on its way to the SD image, so a high level is time for nothing.
      '';
    };
    verify = mkOption {
      type = types.enum [
        "none"
        "size"
        "hash"
      ];
      default = "size";
      description = "What of the closure is compared with Nix' database while it is read.";
    };
    deduplicate = mkOption {
      type = types.bool;
      default = false;
      description = "Whether equal files of the store become hard links, as `nix-store --optimise` makes them.";
    };
    nixDatabase = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the root has Nix' database of its closure already, before the first boot loads the registration.";
    };
    verifyOutput = mkOption {
      type = types.bool;
      default = false;
      description = "Whether what was written is read again, judged and compared with the plan before there is a result.";
    };
    keepReferences = mkOption {
      type = types.bool;
      default = false;
      description = "Whether Nix looks for store paths in the root file system, which then keeps its closure alive.";
    };
    plan = mkOption {
      type = types.attrsOf (types.either types.attrs types.unspecified);
      default = { };
      example = {
        filesystem.reservedPercent = 0;
      };
      description = "Laid over the generated plan, field by field of each section.";
    };
  };

  config = lib.mkIf cfg.enable (
    # What is set depends on the options that exist, so it cannot be mkIf: that defines an option before it hides it.
    lib.optionalAttrs (!missing) {
      # Above nixpkgs' default, below anything the user writes.
      sdImage.rootFilesystemCreator = lib.mkDefault creator;
    }
    // lib.optionalAttrs hasSdImage {
      # Above nixpkgs' plain definition, below what the user forces.
      system.build.sdImage = lib.mkIf cfg.onePass (
        lib.mkOverride 75 (
          if ownRoot then
            throw "sdImage.snugfs.onePass: sdImage.rootFilesystemCreator or rootFilesystemImage is set to another root, which one pass would not use; switch onePass off, or do not set it"
          else
            onePassImage
        )
      );
    }
    // lib.optionalAttrs (options ? warnings) {
      warnings =
        lib.optional (missing && !(hasSdImage && cfg.onePass))
          "sdImage.snugfs: there is no option sdImage.rootFilesystemCreator here, so snugfs does nothing; import nixpkgs' sd-image.nix of NixOS 25.11 or newer beside this module, set sdImage.snugfs.onePass where there is an older one, or see \"Older nixpkgs\" in snugfs' docs/nix.md"
        ++ lib.optional (!cfg.onePass && lib.any (name: options.sdImage.snugfs.${name}.highestPrio < 1500) forDisks)
          "sdImage.snugfs: ${lib.concatStringsSep ", " forDisks} say something with sdImage.snugfs.onePass only";
    }
  );
}
