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
  cfg = config.sdImage.snugfs;

  makeExt4Fs = import ./make-ext4-fs.nix;
  table = import ./arguments.nix { inherit lib; };
  namesOf = map (argument: argument.name);
  forDisks = namesOf table.ofOnePass;
  # Options are arguments under the same names: all of makeSdImage, and those that are not about disks of makeExt4Fs.
  sdImageArguments =
    removeAttrs cfg (namesOf table.ofModule)
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

  missing = !(options.sdImage ? rootFilesystemCreator);
  hasSdImage = options.sdImage ? storePaths;
in
{
  options.sdImage.snugfs = import ./options.nix { inherit lib; } (
    table.ofModule ++ table.ofOnePass ++ table.ofRoot
  );

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
          "sdImage.snugfs: ${lib.concatStringsSep ", " forDisks} have no effect without sdImage.snugfs.onePass";
    }
  );
}
