# NixOS module: the root file system of nixpkgs' SD image is made by snugfs, and nothing else changes.
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.sdImage.snugfs;

  makeExt4Fs = import ./make-ext4-fs.nix;
  # Every option but these is an argument of makeExt4Fs, under the same name.
  arguments =
    removeAttrs cfg [
      "enable"
      "package"
    ]
    // lib.optionalAttrs (cfg.package != null) { snugfs = cfg.package; };

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

  size = types.either types.ints.unsigned (types.strMatching "[0-9]+(KiB|MiB|GiB|TiB)?");
  missing = !(options.sdImage ? rootFilesystemCreator);
in
{
  options.sdImage.snugfs = {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether snugfs makes the root file system of the SD image.";
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
    // lib.optionalAttrs (missing && options ? warnings) {
      warnings = [
        "sdImage.snugfs: there is no option sdImage.rootFilesystemCreator here, so snugfs does nothing; import nixpkgs' sd-image.nix of NixOS 25.11 or newer beside this module, or see \"Older nixpkgs\" in snugfs' docs/nix.md"
      ];
    }
  );
}
