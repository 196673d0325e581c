# makeSdImage and makeDiskImage: what is wrong is said at evaluation, and arguments become the plan's disk.
{ pkgs, lib }:
let
  file = ../../../nix/make-sd-image.nix;
  image =
    arguments:
    import file (
      {
        inherit pkgs;
        storePaths = [ pkgs.hello ];
      }
      // arguments
    );
  disk = arguments: (image arguments).plan.disk;
  # Evaluation fails; the words are those of nix/check.nix, which tests/nix/steps/20-errors sees as Nix shows them.
  refused = arguments: {
    expr = (builtins.tryEval (image arguments).drvPath).success;
    expected = false;
  };
  diskImage =
    arguments:
    import ../../../nix/make-disk-image.nix (
      {
        inherit pkgs;
        disk = {
          table = "mbr";
          partitions = [
            {
              type = "83";
              content.kind = "root";
            }
          ];
        };
      }
      // arguments
    );
in
{
  "defaults are nixpkgs'" = {
    expr = disk { };
    expected = {
      table = "mbr";
      id = "0x2178694e";
      partitions = [
        {
          start = "8MiB";
          size = "30MiB";
          type = "0b";
          bootable = true;
          content = {
            kind = "fat";
            source = "firmware";
            label = "FIRMWARE";
            id = "0x2178694e";
          };
        }
        {
          type = "83";
          content.kind = "root";
        }
      ];
      blobs = [ ];
    };
  };
  "an id without 0x" = {
    expr = (disk { firmwarePartitionID = "1234abcd"; }).id;
    expected = "0x1234abcd";
  };
  "with gpt, partitions have names and the disk a derived id" = {
    expr =
      let
        gpt = disk { partitionTable = "gpt"; };
      in
      [
        (gpt ? id)
        (map (partition: partition.name) gpt.partitions)
        (map (partition: partition.type) gpt.partitions)
      ];
    expected = [
      false
      [
        "FIRMWARE"
        "NIXOS_SD"
      ]
      [
        "esp"
        "linux"
      ]
    ];
  };
  "without firmware, the root boots from behind the gap" = {
    expr = (disk { firmwareSize = 0; }).partitions;
    expected = [
      {
        start = "8MiB";
        type = "83";
        bootable = true;
        content.kind = "root";
      }
    ];
  };
  "partitions can be changed field by field" = {
    expr = lib.last (disk { rootPartition.size = "1GiB"; }).partitions;
    expected = {
      size = "1GiB";
      type = "83";
      content.kind = "root";
    };
  };
  "names" = {
    expr = map (arguments: (image arguments).name) [
      { }
      { compressImage = true; }
      { imageBaseName = "board"; }
      {
        imageName = "board.raw";
        compressImage = true;
      }
      {
        directory = "sd-image";
        name = "other";
      }
    ];
    expected = [
      "sd-image.img"
      "sd-image.img.zst"
      "board.img"
      "board.raw.zst"
      "other"
    ];
  };
  "the root is that of makeExt4Fs" = {
    expr =
      (image {
        rootPartitionUUID = "14e19a7b-0ae0-484d-9d54-43bd6fdc20c7";
        compressImage = true;
        freeSpace = 0;
      }).root.drvPath;
    expected =
      (pkgs.callPackage ../../../nix/make-ext4-fs.nix {
        storePaths = [ pkgs.hello ];
        volumeLabel = "NIXOS_SD";
        uuid = "14e19a7b-0ae0-484d-9d54-43bd6fdc20c7";
        freeSpace = 0;
      }).drvPath;
  };
  "a sealed root too" = {
    expr = (image { seal = true; }).root.drvPath;
    expected =
      (pkgs.callPackage ../../../nix/make-ext4-fs.nix {
        storePaths = [ pkgs.hello ];
        volumeLabel = "NIXOS_SD";
        seal = true;
      }).drvPath;
  };
  "commands after the image leave compressing to zstd" = {
    expr =
      let
        changed = image {
          compressImage = true;
          compressionLevel = 20;
          postBuildCommands = "true";
        };
      in
      [
        changed.plan.output.compression.level
        (lib.hasInfix "--ultra -20" changed.buildCommand)
        (lib.length changed.nativeBuildInputs)
      ];
    expected = [
      20
      true
      2
    ];
  };
  "further closures have keys of their own" = {
    expr = lib.attrNames (diskImage { closures.data = pkgs.hello; }).exportReferencesGraph;
    expected = [
      "closure"
      "data"
    ];
  };
  "the plan's own word is the last" = {
    expr = (diskImage { plan.disk.size = "1GiB"; }).plan.disk.size;
    expected = "1GiB";
  };
  "a map beside the image needs a folder" = {
    expr =
      map
        (
          directory:
          (builtins.tryEval
            (image {
              inherit directory;
              plan.output.bmap = true;
            }).drvPath
          ).success
        )
        [
          null
          "sd-image"
        ];
    expected = [
      false
      true
    ];
  };
  "commands after a container" = refused {
    postBuildCommands = "true";
    plan.output.format = "qcow2";
  };
  "commands after a map" = refused {
    postBuildCommands = "true";
    directory = "sd-image";
    plan.output.bmap = true;
  };
  "commands after an image with frames" = refused {
    postBuildCommands = "true";
    frames = true;
  };
  "commands after an image with layers" = refused {
    postBuildCommands = "true";
    layers = [ [ pkgs.hello ] ];
  };
  "commands after an image with frames of its plan" = refused {
    postBuildCommands = "true";
    plan.output.compression = {
      format = "zstd";
      frames = true;
    };
  };
  "a firmware name in lower case" = refused { firmwarePartitionName = "boot"; };
  "a firmware name of 12 bytes" = refused { firmwarePartitionName = "TWELVE-BYTES"; };
  "an id that is no number" = refused { firmwarePartitionID = "NIXOS"; };
  "a negative offset" = refused { firmwarePartitionOffset = -1; };
  "a size with a unit" = refused { firmwareSize = "30MiB"; };
  "an unknown table" = refused { partitionTable = "dos"; };
  "a blob without offset" = refused { blobs = [ { source = ./default.nix; } ]; };
  "a blob with a length" = refused {
    blobs = [
      {
        source = ./default.nix;
        offset = 0;
        size = 1;
      }
    ];
  };
  "a name with a slash" = refused { imageName = "a/b.img"; };
  "an argument of makeExt4Fs alone" = refused { volumeLabel = "X"; };
  "a wrong argument of the root" = refused { rootVolumeLabel = "SEVENTEEN-LETTERS"; };
}
