# A root with a hash tree: the plan of makeDiskImage and makeNixosDisk, and what is refused.
{ pkgs, lib }:
let
  check = import ../../../nix/check.nix { inherit lib; };
  problemsOf =
    name: arguments: map (lib.removePrefix "${name}: ") (check name ({ inherit pkgs; } // arguments)).problems;

  root = {
    type = "root-x86-64";
    name = "system";
    content.kind = "root";
  };
  disk = partitions: {
    table = "gpt";
    inherit partitions;
  };
  ofDisk =
    arguments:
    {
      disk = disk [ root ];
      verity = true;
    }
    // arguments;
  diskImage = arguments: pkgs.callPackage ../../../nix/make-disk-image.nix (ofDisk arguments);
  diskProblems = arguments: problemsOf "makeDiskImage" (ofDisk arguments);

  configuration =
    modules:
    (import (pkgs.path + "/nixos/lib/eval-config.nix") {
      system = null;
      inherit pkgs;
      modules = modules ++ [ { system.stateVersion = "25.11"; } ];
    }).config;
  module = ../../../nix/verity-module.nix;
  systemdBoot.boot.loader.systemd-boot.enable = true;
  ofNixos =
    modules: arguments:
    {
      config = configuration modules;
      copyChannel = false;
      partitionTableType = "efi";
      verity = true;
    }
    // arguments;
  nixosDisk = modules: arguments: pkgs.callPackage ../../../nix/make-nixos-disk.nix (ofNixos modules arguments);
  nixosProblems = modules: arguments: problemsOf "makeNixosDisk" (ofNixos modules arguments);

  type = "root-${{ x86_64 = "x86-64"; aarch64 = "arm64"; }.${lib.head (lib.splitString "-" pkgs.stdenv.hostPlatform.system)}}";
  tree = {
    kind = "verity";
    of = "root";
  };
in
{
  "a disk gets a sealed root and the partition of the tree" = {
    expr = {
      inherit ((diskImage { }).plan) disk;
      filesystem = removeAttrs (diskImage { }).plan.filesystem [
        "label"
        "uuid"
      ];
    };
    expected = {
      disk = disk [
        root
        {
          type = "root-x86-64-verity";
          name = "system-verity";
          content = tree;
        }
      ];
      filesystem = {
        seal = true;
        verity = true;
      };
    };
  };
  "a partition of the tree that is there stays the only one" = {
    expr = lib.length (diskImage {
      disk = disk [
        {
          type = "usr-arm64-verity";
          content = tree;
        }
        (root // { type = "linux-usr-arm64"; })
      ];
    }).plan.disk.partitions;
    expected = 2;
  };
  "without it, nothing changes" = {
    expr = [
      (diskImage { verity = false; }).plan.disk
      ((diskImage { verity = false; }).plan.filesystem ? verity)
      (diskImage { verity = false; } ? roothash)
    ];
    expected = [
      (disk [ root ])
      false
      false
    ];
  };
  "the root hash is a derivation without an image" = {
    expr = map (image: lib.hasInfix "snugfs roothash" image.roothash.buildCommand && !(lib.hasInfix "snugfs build" image.roothash.buildCommand)) [
      (diskImage { })
      (diskImage { compressImage = true; })
      (diskImage {
        verity = false;
        seal = true;
        plan.filesystem.verity.salt = "00";
      })
    ];
    expected = [
      true
      true
      true
    ];
  };
  "an MBR has no GUIDs" = {
    expr = diskProblems { disk = disk [ root ] // { table = "mbr"; }; };
    expected = [
      ''verity: the hash tree needs a partition table that has GUIDs; set disk.table to "gpt"''
    ];
  };
  "a root of another type" = {
    expr = lib.concatMap (type: diskProblems { disk = disk [ (root // { inherit type; }) ]; }) [
      "linux"
      "root-x86-64-verity"
    ];
    expected = map (type: ''verity: the kernel's root hash finds partitions of the types root-ARCH and usr-ARCH, and that of the root has the type "${type}"; choose one such as "root-x86-64"'') [
      "linux"
      "root-x86-64-verity"
    ];
  };
  "a disk without a root" = {
    expr = diskProblems { disk = disk [ ]; };
    expected = [
      ''verity: the hash tree is that of the root, and disk.partitions has 0 partitions with content.kind = "root"; write one''
    ];
  };
  "free space" = {
    expr = diskProblems { freeSpace = "1MiB"; freeInodes = 0; };
    expected = [
      "verity: a root with a hash tree is sealed, as small as its contents, and freeSpace is given; leave one of the two out"
    ];
  };

  "a NixOS disk" = {
    expr = map (arguments: map (partition: removeAttrs partition [ "start" ]) (lib.tail (nixosDisk [ module ] arguments).plan.disk.partitions)) [
      { }
      { diskSize = 4096; }
    ];
    expected =
      let
        partitions = [
          {
            inherit type;
            name = "primary";
            content.kind = "root";
          }
          {
            type = "${type}-verity";
            name = "primary-verity";
            content = tree;
          }
        ];
      in
      [
        partitions
        partitions
      ];
  };
  "a NixOS disk without GUIDs" = {
    expr = map (partitionTableType: nixosProblems [ module ] { inherit partitionTableType; }) [
      "legacy"
      "none"
      "legacy+gpt"
    ];
    expected =
      map (type: [
        "verity: the hash tree needs a partition table that has GUIDs, and partitionTableType is ${type}; choose one of efi, efixbootldr, hybrid, legacy+gpt"
      ]) [
        "legacy"
        "none"
      ]
      ++ [ [ ] ];
  };
  "free space of a NixOS disk" = {
    expr = nixosProblems [ module ] { additionalSpace = "512M"; };
    expected = [
      "verity: a root with a hash tree is sealed, as small as its contents, and additionalSpace is given; leave one of the two out"
    ];
  };

  "a configuration with the module passes, with systemd-boot and without" = {
    expr = [
      (nixosProblems [ module systemdBoot ] { })
      (nixosProblems [ module ] { })
    ];
    expected = [
      [ ]
      [ ]
    ];
  };
  "what the module sets" = {
    expr =
      let
        config = configuration [ module ];
      in
      {
        inherit (config.boot) kernelParams;
        verity = config.boot.initrd.systemd.dmVerity.enable;
        systemd = config.boot.initrd.systemd.enable;
        devices = lib.mapAttrs (_path: fileSystem: fileSystem.device) config.fileSystems;
        inherit (config.fileSystems."/verified") options;
      };
    expected = {
      kernelParams = [ "roothash=\${rootHash:root}" ];
      verity = true;
      systemd = true;
      devices = {
        "/" = "tmpfs";
        "/verified" = "/dev/mapper/root";
        "/nix/store" = "/verified/nix/store";
      };
      options = [ "ro" ];
    };
  };
  "the machine's own file systems take precedence over the module's" = {
    expr =
      let
        own = { fileSystems."/".device = "/dev/disk/by-label/state"; };
      in
      map (config: config.fileSystems."/") [ (configuration [ module own ]) ];
    expected = [ { device = "/dev/disk/by-label/state"; } ];
  };
  "a configuration that lacks all of it" = {
    expr = nixosProblems [ systemdBoot ] { };
    expected = map (text: "verity: ${text}; import nixosModules.verity of snugfs, or set it yourself") [
      ''config.boot.kernelParams has no "roothash=\''${rootHash:root}"''
      "config.boot.initrd.systemd.dmVerity.enable is false, so nothing opens the root"
      "config.fileSystems mounts neither /dev/mapper/root nor /dev/mapper/usr"
    ];
  };
  "a usr of one's own" = {
    expr = nixosProblems [
      systemdBoot
      {
        boot.kernelParams = [ "usrhash=\${rootHash:root}" ];
        boot.initrd.systemd.dmVerity.enable = true;
        fileSystems."/usr".device = "/dev/mapper/usr";
      }
    ] { };
    expected = [ ];
  };
  "another boot loader" = {
    expr =
      let
        grub.boot.loader.grub = {
          enable = true;
          devices = [ "nodev" ];
          efiSupport = true;
        };
      in
      map (installBootLoader: nixosProblems [ module grub ] { inherit installBootLoader; }) [
        true
        false
      ];
    expected = [
      [
        "verity: the root hash goes into the entries of systemd-boot, and the configuration's boot loader is grub; choose systemd-boot, or set installBootLoader = false"
      ]
      [ ]
    ];
  };

  "a unified kernel image of the root hash, in the ESP" = {
    expr =
      let
        without = nixosDisk [ module ] { };
        with' = nixosDisk [ module ] { uki = roothash: pkgs.runCommand "uki" { } "cat ${roothash} > $out"; };
        content = (lib.head with'.plan.disk.partitions).content;
      in
      [
        (lib.attrNames content.entries)
        ((lib.head (lib.attrValues content.entries)).source == "${with'.uki}")
        (with'.roothash.drvPath == without.roothash.drvPath)
        (with'.uki.buildCommand == "cat ${without.roothash} > $out")
        (removeAttrs with'.plan [ "disk" ] == removeAttrs without.plan [ "disk" ])
      ];
    expected = [
      [
        "/EFI/BOOT/BOOT${lib.toUpper (import ../../../nix/efi-arch.nix pkgs.stdenv.hostPlatform)}.EFI"
      ]
      true
      true
      true
      true
    ];
  };
  "a kernel image without a place or a root hash" = {
    expr = map (arguments: nixosProblems [ module systemdBoot ] ({ uki = _: pkgs.hello; } // arguments)) [
      { installBootLoader = false; }
      { }
      {
        installBootLoader = false;
        verity = false;
      }
      {
        installBootLoader = false;
        partitionTableType = "legacy+gpt";
      }
      {
        installBootLoader = false;
        uki = "kernel.efi";
      }
    ];
    expected = [
      [ ]
      [
        "uki: the firmware starts either it or the configuration's boot loader, systemd-boot; set installBootLoader = false"
      ]
      [ "uki: it is made of the root hash, and there is no hash tree; set verity = true" ]
      [
        "uki: it is a file in an EFI system partition; set partitionTableType to efi, efixbootldr or hybrid"
      ]
      [ ''uki: "kernel.efi" is not a function'' ]
    ];
  };
}
