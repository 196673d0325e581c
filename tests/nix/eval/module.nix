# The NixOS module beside nixpkgs' sd-image.nix.
{ pkgs, lib }:
let
  module = ../../../nix/module.nix;
  sdImage = pkgs.path + "/nixos/modules/installer/sd-card/sd-image.nix";
  hasCreator = (evaluate [ sdImage ]).options.sdImage ? rootFilesystemCreator;
  evaluate =
    modules:
    import (pkgs.path + "/nixos/lib/eval-config.nix") {
      system = null;
      inherit pkgs;
      modules = modules ++ [ { system.stateVersion = "25.11"; } ];
    };
  configured =
    extra:
    (evaluate (
      [
        sdImage
        module
      ]
      ++ extra
    )).config;
  root = extra: (configured extra).sdImage.rootFilesystemImage;
  plan = extra: (root extra).plan;
  small = {
    # Not a whole system: the evaluation of one says nothing more.
    sdImage.storePaths = lib.mkForce [ pkgs.hello ];
    sdImage.populateFirmwareCommands = "";
    sdImage.populateRootCommands = "mkdir -p ./files/boot";
  };
  onePass =
    extra:
    (configured (
      [
        small
        { sdImage.snugfs.onePass = true; }
      ]
      ++ extra
    )).system.build.sdImage;
  # Options of an sd-image.nix before NixOS 25.05, of which some have been added later still.
  older =
    { lib, ... }:
    {
      options.sdImage =
        lib.mapAttrs
          (
            _name: default:
            lib.mkOption {
              type = lib.types.unspecified;
              inherit default;
            }
          )
          {
            imageName = "older.img";
            storePaths = [ pkgs.hello ];
            compressImage = true;
            populateRootCommands = "";
            populateFirmwareCommands = "";
            firmwareSize = 30;
            firmwarePartitionID = "0x2178694e";
            firmwarePartitionName = "FIRMWARE";
            rootPartitionUUID = null;
          };
    };
  # The same, declared at a position that somebody gave, or in a module without a file.
  olderAt =
    position: arguments:
    older arguments // lib.optionalAttrs (position != null) { _file = position; };
  direct = pkgs.callPackage ../../../nix/make-ext4-fs.nix {
    storePaths = [ pkgs.hello ];
    volumeLabel = "NIXOS_SD";
    compressImage = true;
    populateImageCommands = "mkdir -p ./files/boot";
  };
in
lib.optionalAttrs hasCreator {
  "the root file system is the one that makeExt4Fs makes with no more arguments" = {
    expr = (root [ small ]).drvPath;
    expected = direct.drvPath;
  };
  "nixpkgs' options reach it" = {
    expr = (
      plan [
        small
        {
          sdImage.rootPartitionUUID = "14e19a7b-0ae0-484d-9d54-43bd6fdc20c7";
          sdImage.rootVolumeLabel = "BOARD";
          sdImage.compressImage = false;
        }
      ]
    );
    expected = direct.plan // {
      filesystem = direct.plan.filesystem // {
        uuid = "14e19a7b-0ae0-484d-9d54-43bd6fdc20c7";
        label = "BOARD";
      };
      output = direct.plan.output // {
        compression = null;
      };
    };
  };
  "and so do ours, with what they refer to" = {
    expr =
      let
        options = {
          freeSpace = "256MiB";
          freeInodes = 5000;
          growTo = null;
          entries."/etc/hello" = {
            type = "file";
            source = "${pkgs.hello}/bin/hello";
          };
          attributes."/boot".mode = "0700";
          trees = [
            {
              source = pkgs.hello;
              target = "/opt";
            }
          ];
          compressionLevel = 9;
          layers = [ [ pkgs.hello ] ];
          frames = true;
          verify = "hash";
          deduplicate = true;
          nixDatabase = true;
          verifyOutput = true;
          keepReferences = true;
          plan.filesystem.reservedPercent = 0;
        };
        viaModule = root [
          small
          { sdImage.snugfs = options; }
        ];
      in
      viaModule.drvPath == (direct.override options).drvPath;
    expected = true;
  };
  "the program can be chosen" = {
    expr =
      map (p: p.name)
        (root [
          small
          { sdImage.snugfs.package = pkgs.hello; }
        ]).nativeBuildInputs;
    expected = [ pkgs.hello.name ];
  };
  "a wrong value is the module system's error" = {
    expr =
      (builtins.tryEval
        (plan [
          small
          { sdImage.snugfs.verify = "sha256"; }
        ]).closure.verify
      ).success;
    expected = false;
  };
  "switched off, nixpkgs' own function is called" = {
    expr = toString (configured [ { sdImage.snugfs.enable = false; } ]).sdImage.rootFilesystemCreator;
    expected = toString (pkgs.path + "/nixos/lib/make-ext4-fs.nix");
  };
  "the user's own creator wins" = {
    expr =
      toString
        (configured [ { sdImage.rootFilesystemCreator = ./default.nix; } ]).sdImage.rootFilesystemCreator;
    expected = toString ./default.nix;
  };
  "taken as a path, the creator is the file" = {
    expr = toString (configured [ ]).sdImage.rootFilesystemCreator;
    expected = toString ../../../nix/make-ext4-fs.nix;
  };
  "in one pass, the image has nixpkgs' path and name" = {
    expr =
      let
        image = onePass [ { image.baseName = "board"; } ];
      in
      [
        image.name
        (lib.hasInfix "$out/sd-image/board.img" (toString image.buildCommand))
        image.uncompressed.name
      ];
    expected = [
      "board.img.zst"
      true
      "board.img"
    ];
  };
  "and nixpkgs' options reach it" = {
    expr =
      (onePass [
        {
          sdImage = {
            compressImage = false;
            rootVolumeLabel = "BOARD";
            firmwarePartitionOffset = 16;
            firmwareSize = 100;
            firmwarePartitionID = "0x12345678";
            firmwarePartitionName = "FW";
          };
        }
      ]).plan.disk;
    expected = {
      table = "mbr";
      id = "0x12345678";
      partitions = [
        {
          start = "16MiB";
          size = "100MiB";
          type = "0b";
          bootable = true;
          content = {
            kind = "fat";
            source = "firmware";
            label = "FW";
            id = "0x12345678";
          };
        }
        {
          type = "83";
          bootable = false;
          content.kind = "root";
        }
      ];
      blobs = [ ];
    };
  };
  "and so do our layers" = {
    expr =
      map (layer: layer.drvPath)
        (onePass [
          {
            sdImage.snugfs.layers = [
              [ pkgs.hello ]
              [ pkgs.jq ]
            ];
          }
        ]).layers;
    expected =
      map (layer: layer.drvPath)
        (direct.override {
          layers = [
            [ pkgs.hello ]
            [ pkgs.jq ]
          ];
        }).layers;
  };
  "and so do ours for disks" = {
    expr =
      let
        inherit
          (onePass [
            {
              sdImage.snugfs = {
                blobs = [
                  {
                    source = ./default.nix;
                    offset = "8KiB";
                  }
                ];
                partitionTable = "gpt";
                extraPartitions = [ { size = "1MiB"; } ];
                firmwarePartition.type = "linux";
                rootPartition.size = "1GiB";
              };
            }
          ])
          plan
          ;
      in
      [
        (map (blob: blob.offset) plan.disk.blobs)
        plan.disk.table
        (map (partition: partition.size) plan.disk.partitions)
        (lib.head plan.disk.partitions).type
      ];
    expected = [
      [ "8KiB" ]
      "gpt"
      [
        "30MiB"
        "1MiB"
        "1GiB"
      ]
      "linux"
    ];
  };
  "its root is the one that nixpkgs' image would have" = {
    expr = (onePass [ ]).root.drvPath;
    expected = direct.uncompressed.drvPath;
  };
  "what the user forces wins" = {
    expr = toString (onePass [ { system.build.sdImage = lib.mkForce "own"; } ]);
    expected = "own";
  };
  "a root of the user's own is no part of one pass" = {
    expr = map (extra: (builtins.tryEval (onePass [ extra ]).drvPath).success) [
      { sdImage.rootFilesystemCreator = ./default.nix; }
      { sdImage.rootFilesystemImage = pkgs.hello; }
    ];
    expected = [
      false
      false
    ];
  };
  "options for disks need one pass" = {
    expr =
      map
        (
          snugfs:
          lib.length (
            lib.filter (lib.hasPrefix "sdImage.snugfs") (configured [ { sdImage = { inherit snugfs; }; } ]).warnings
          )
        )
        [
          { partitionTable = "gpt"; }
          {
            partitionTable = "gpt";
            onePass = true;
          }
        ];
    expected = [
      1
      0
    ];
  };
  "no warning" = {
    expr = lib.filter (lib.hasPrefix "sdImage.snugfs") (configured [ ]).warnings;
    expected = [ ];
  };
}
// {
  "one pass works with older nixpkgs, and boots from the partition that they boot from" = {
    expr =
      let
        inherit
          ((evaluate [
            older
            module
            { sdImage.snugfs.onePass = true; }
          ]).config
          )
          system
          warnings
          ;
        image = system.build.sdImage;
      in
      [
        image.name
        (map (partition: partition.bootable) image.plan.disk.partitions)
        image.plan.filesystem.label
        (lib.filter (lib.hasPrefix "sdImage.snugfs") warnings)
      ];
    expected = [
      "older.img"
      [
        false
        true
      ]
      "NIXOS_SD"
      [ ]
    ];
  };
  "one pass works wherever the options are declared" = {
    expr =
      map
        (
          position:
          map (partition: partition.bootable)
            (evaluate [
              (olderAt position)
              module
              { sdImage.snugfs.onePass = true; }
            ]).config.system.build.sdImage.plan.disk.partitions
        )
        [
          null
          "inline"
          "/nowhere/sd-image.nix"
          "/nowhere/flake.nix#nixosModules.board"
          (toString ./.)
          (toString ../../../docs)
          (toString ../../../README.md)
          (toString ./boots-from-firmware)
          (toString ./boots-from-firmware/default.nix)
        ];
    expected =
      map
        (firmware: [
          firmware
          (!firmware)
        ])
        [
          false
          false
          false
          false
          false
          false
          false
          true
          true
        ];
  };
  "without nixpkgs' option there is a warning and nothing else" = {
    expr =
      let
        bare = (evaluate [ module ]).config;
      in
      [
        (lib.length (lib.filter (lib.hasPrefix "sdImage.snugfs") bare.warnings))
        (bare.sdImage ? rootFilesystemCreator)
      ];
    expected = [
      1
      false
    ];
  };
  "switched off, not even that" = {
    expr =
      lib.filter (lib.hasPrefix "sdImage.snugfs")
        (evaluate [
          module
          { sdImage.snugfs.enable = false; }
        ]).config.warnings;
    expected = [ ];
  };
}
