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
      output.compression = null;
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
          verify = "hash";
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
  "no warning" = {
    expr = lib.filter (lib.hasPrefix "sdImage.snugfs") (configured [ ]).warnings;
    expected = [ ];
  };
}
// {
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
