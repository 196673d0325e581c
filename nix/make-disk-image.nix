# A whole disk in one derivation: partition table, boot loaders, FAT and ext4 file systems, as docs/plan-format.md
# describes them under `disk`. Called like make-ext4-fs.nix, whose arguments it has too. Every argument: docs/nix.md.
let
  makeDiskImage =
    {
      pkgs,
      lib ? pkgs.lib,

      # The plan's section `disk`. Paths in it are store paths, or what `populateCommands` makes.
      disk,
      # Shell commands that make, in the build's folder, what the plan names by relative paths.
      populateCommands ? "",
      # Store paths of further ext4 partitions: { data = [ pkgs.hello ]; } for a partition with `closure.graph = "data"`.
      closures ? { },
      # Shell commands that change the finished image $img, before it is compressed.
      postBuildCommands ? "",
      # File name of the image, without the `.zst` that compressImage adds.
      imageName ? "disk.img",
      # null: the result is the image. A name such as "sd-image": the result is a folder with the image in a folder of
      # this name, and what Hydra wants to know.
      directory ? null,
      # Name of the result.
      name ? imageName + lib.optionalString compressImage ".zst",

      # --- as in make-ext4-fs.nix, of the partition whose content is the root ---

      storePaths ? [ ],
      populateRootCommands ? "",
      volumeLabel ? "",
      uuid ? "44444444-4444-4444-8888-888888888888",
      freeSpace ? "32MiB",
      freeInodes ? 1024,
      growTo ? "1TiB",
      seal ? false,
      entries ? { },
      attributes ? { },
      trees ? [ ],
      compressImage ? false,
      compressionLevel ? 3,
      verify ? "size",
      deduplicate ? false,
      nixDatabase ? false,
      verifyOutput ? false,
      keepReferences ? false,
      plan ? { },
      snugfs ? null,

      # Who asks, for messages: { function; known; given; wrong; }
      caller ? {
        function = "makeDiskImage";
        known = removeAttrs (builtins.functionArgs makeDiskImage) [ "caller" ];
        inherit given;
        wrong = { };
      },
      # What else the result knows.
      passthru ? { },
      ...
    }@given:
    let
      inherit (import ./values.nix { inherit lib; })
        aString
        andThen
        is
        no
        nullOr
        show
        ;
      output = plan.output or { };
      aFileName = is "a file name" (
        v: builtins.isString v && builtins.match "[0-9a-zA-Z+._?=-]+" v != null
      );

      checked = import ./plan.nix { inherit lib; } {
        inherit (caller) function known given;
        inherit
          disk
          storePaths
          compressImage
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
        populateImageCommands = populateRootCommands;
        inFolder = directory != null;
        alsoWrong = {
          populateImageCommands = [ ];
          populateRootCommands = aString populateRootCommands;
          populateCommands = aString populateCommands;
          postBuildCommands =
            aString postBuildCommands
            # What the program wrote beside the image, or around it, would not be true of the changed one.
            ++ no (
              postBuildCommands == ""
              || !(output.bmap or false || !(builtins.elem (output.format or null) [ null "raw" ]) || output.compression.seekable or false)
            ) "they change an image of which output.bmap, output.format or output.compression.seekable asks for another form; give what they write as blobs";
          imageName = aFileName imageName;
          directory = nullOr aFileName directory;
          disk = is "a set" builtins.isAttrs disk;
          closures = andThen (is "a set" builtins.isAttrs closures) (
            no (!(closures ? closure)) "${show "closure"} is what storePaths are called; choose another name"
          );
        }
        // caller.wrong;
      };
      variant =
        compress:
        if compress == compressImage then
          image
        else
          makeDiskImage (removeAttrs given [ "name" ] // { compressImage = compress; });

      image = import ./image.nix { inherit pkgs lib snugfs; } {
        inherit name postBuildCommands keepReferences;
        inherit (checked) plan;
        closures = closures // {
          closure = storePaths;
        };
        layout =
          if directory == null then
            null
          else
            {
              inherit directory;
              file = imageName;
            };
        commands = ''
          (
          mkdir -p ./files
          ${populateRootCommands}
          )
          ${populateCommands}
        '';
        passthru = {
          inherit (checked) plan;
          uncompressed = variant false;
          compressed = variant true;
        }
        // passthru;
      };
    in
    if checked.problems == [ ] then image else throw (lib.concatStringsSep "\n" checked.problems);
in
makeDiskImage
