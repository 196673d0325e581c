# Drop-in for nixpkgs' nixos/lib/make-ext4-fs.nix: same arguments, same name, same kind of result, made by snugfs.
# Call it with `pkgs.callPackage`, with a plain `import`, or point `sdImage.rootFilesystemCreator` at this file; it
# needs neither our overlay nor our flake. Every argument: docs/nix.md.
let
  makeExt4Fs =
    {
      pkgs,
      lib ? pkgs.lib,

      # --- the old function's arguments ---

      # Store paths (or a single one) whose closure fills the image's store: derivations, or strings with context.
      storePaths,
      # Whether the result is compressed with zstd, and called ext4-fs.img.zst.
      compressImage ? false,
      # Shell commands that fill ./files, which is laid over the root of the file system, dotfiles included. Owners
      # and set-id bits cannot be had here (the sandbox forbids them): declare them in `attributes`.
      populateImageCommands ? "",
      # Name of the file system, at most 16 bytes.
      volumeLabel,
      # UUID of the file system.
      uuid ? "44444444-4444-4444-8888-888888888888",

      # --- what snugfs adds ---

      # How much room is free for files: bytes, or a string such as "64MiB". Of it Linux keeps 2 % of the image, at most
      # 16 MiB, to itself until the file system is grown.
      freeSpace ? "32MiB",
      # How many more files can be made before the file system is grown.
      freeInodes ? 1024,
      # Up to this size the file system grows online with no change of its features: bytes, a string such as "1TiB",
      # or null for no reserve.
      growTo ? "1TiB",
      # Whether nobody shall ever write into it: as small as its contents, and Linux mounts it read-only alone. The three
      # above are not given then.
      seal ? false,
      # Single files by their path in the image:
      # { "/dev/console" = { type = "character"; major = 5; minor = 1; mode = "0600"; }; }
      entries ? { },
      # Owner, mode and extended attributes laid over what the rest put there:
      # { "/home/pi" = { uid = 1000; gid = 100; recursive = true; }; }
      attributes ? { },
      # Folders laid over the image, besides ./files: [ { source = ./overlay; target = "/"; } ]
      trees ? [ ],
      # zstd's level where the image is compressed, 1 to 22.
      compressionLevel ? 3,
      # What of the closure is compared with Nix' database while it is read: "none", "size" or "hash".
      verify ? "size",
      # Whether equal files of the store become hard links, as nix-store --optimise makes them.
      deduplicate ? false,
      # Whether the image has Nix' database of its closure, so that a first boot need not load the registration.
      nixDatabase ? false,
      # Whether the program reads what it wrote again, judges it and compares it with the plan, before there is a result.
      verifyOutput ? false,
      # Whether Nix looks for store paths in the image, which then keeps its closure alive. The image holds its
      # closure, so nothing is lost without it, and gigabytes need not be searched.
      keepReferences ? false,
      # Laid over the generated plan, field by field of each section; it can say all that docs/plan-format.md says:
      # { filesystem.reservedPercent = 0; }
      plan ? { },
      # The program, for the machine that builds.
      snugfs ? null,

      # --- taken so that callers of the old function need no change, and not used ---
      e2fsprogs ? null,
      fakeroot ? null,
      libfaketime ? null,
      lkl ? null,
      perl ? null,
      zstd ? null,
      # Anything else is refused below, with a message that says what is known.
      ...
    }@given:
    let
      checked = import ./plan.nix { inherit lib; } {
        inherit
          storePaths
          compressImage
          populateImageCommands
          volumeLabel
          uuid
          freeSpace
          freeInodes
          growTo
          seal
          entries
          attributes
          trees
          compressionLevel
          verify
          deduplicate
          nixDatabase
          verifyOutput
          keepReferences
          plan
          snugfs
          ;
        known = builtins.functionArgs makeExt4Fs;
        inherit given;
      };

      variant =
        compress:
        if compress == compressImage then image else makeExt4Fs (given // { compressImage = compress; });

      image = import ./image.nix { inherit pkgs lib snugfs; } {
        name = "ext4-fs.img${lib.optionalString compressImage ".zst"}";
        inherit (checked) plan;
        inherit keepReferences;
        closures.closure = storePaths;
        commands = ''
          mkdir -p ./files
          ${populateImageCommands}
        '';
        passthru = {
          inherit (checked) plan;
          uncompressed = variant false;
          compressed = variant true;
          tests = import ./image-tests.nix {
            inherit
              pkgs
              lib
              image
              storePaths
              ;
          };
        };
      };
    in
    if checked.problems == [ ] then image else throw (lib.concatStringsSep "\n" checked.problems);
in
makeExt4Fs
