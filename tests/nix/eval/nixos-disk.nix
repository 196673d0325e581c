# makeNixosDisk: the plan of each table, what a configuration's boot loader becomes, and what is refused.
{ pkgs, lib }:
let
  file = ../../../nix/make-nixos-disk.nix;
  configuration =
    modules:
    (import (pkgs.path + "/nixos/lib/eval-config.nix") {
      system = null;
      inherit pkgs;
      modules = modules ++ [ { system.stateVersion = "25.11"; } ];
    }).config;
  disk =
    modules: arguments:
    pkgs.callPackage file (
      {
        config = configuration modules;
        copyChannel = false;
      }
      // arguments
    );
  plan = modules: arguments: (disk modules arguments).plan;
  check = import ../../../nix/check.nix { inherit lib; } "makeNixosDisk";
  problems =
    modules: arguments:
    map (lib.removePrefix "makeNixosDisk: ")
      (check (
        {
          inherit pkgs;
          config = configuration modules;
        }
        // arguments
      )).problems;
  wrong = arguments: text: {
    expr = problems [ ] arguments;
    expected = [ text ];
  };

  shapes =
    arguments:
    map (
      partition:
      lib.concatStringsSep " " (
        map toString [
          (partition.name or "-")
          partition.type
          partition.start
          (partition.size or "-")
          (partition.guid or "-")
        ]
      )
    ) (plan [ ] arguments).disk.partitions;
  systemdBoot = {
    boot.loader.systemd-boot.enable = true;
  };
  grub = settings: { boot.loader.grub = { enable = true; } // settings; };
  both = grub {
    devices = [ "/dev/vda" ];
    efiSupport = true;
    efiInstallAsRemovable = true;
  };
  profiles = "${dirOf builtins.storeDir}/var/nix/profiles";
in
{
  "the partitions of legacy" = {
    expr = shapes { };
    expected = [ "- 83 1MiB - -" ];
  };
  "the partitions of legacy+boot" = {
    expr = shapes { partitionTableType = "legacy+boot"; };
    expected = [
      "- 0c 1MiB 256MiB -"
      "- 83 257MiB - -"
    ];
  };
  "the partitions of legacy+gpt" = {
    expr = shapes { partitionTableType = "legacy+gpt"; };
    expected = [
      "no-fs bios-boot 1MiB 1MiB 1c06f03b-704e-4657-b9cd-681a087a2fdc"
      "primary linux 2MiB - 970c694f-afd0-4b99-b750-cdb7a329ab6f"
    ];
  };
  "the partitions of efi, of a given length" = {
    expr = shapes {
      partitionTableType = "efi";
      diskSize = "4096";
      rootGPUID = "14E19A7B-0AE0-484D-9D54-43BD6FDC20C7";
    };
    expected = [
      "ESP esp 8MiB 249MiB 1c06f03b-704e-4657-b9cd-681a087a2fdc"
      "primary linux 257MiB 3838MiB 14e19a7b-0ae0-484d-9d54-43bd6fdc20c7"
    ];
  };
  "the partitions of efixbootldr" = {
    expr = shapes {
      partitionTableType = "efixbootldr";
      bootSize = "1G";
    };
    expected = [
      "ESP esp 8MiB 92MiB 1c06f03b-704e-4657-b9cd-681a087a2fdc"
      "BOOT xbootldr 100MiB 925MiB 970c694f-afd0-4b99-b750-cdb7a329ab6f"
      "ROOT linux 1025MiB - f222513b-ded1-49fa-b591-20ce86a2fe7f"
    ];
  };
  "the partitions of hybrid" = {
    expr = shapes { partitionTableType = "hybrid"; };
    expected = [
      "ESP esp 8MiB 249MiB 1c06f03b-704e-4657-b9cd-681a087a2fdc"
      "no-fs bios-boot 17408 1031168 970c694f-afd0-4b99-b750-cdb7a329ab6f"
      "primary linux 257MiB - f222513b-ded1-49fa-b591-20ce86a2fe7f"
    ];
  };
  "no table" = {
    expr =
      let
        without = plan [ ] {
          partitionTableType = "none";
          diskSize = 100;
        };
      in
      [
        without.disk
        without.filesystem.size
      ];
    expected = [
      null
      "100MiB"
    ];
  };
  "the length of a disk" = {
    expr = map (diskSize: (plan [ ] { inherit diskSize; }).disk.size or null) [
      "auto"
      100
      "100"
    ];
    expected = [
      null
      "100MiB"
      "100MiB"
    ];
  };
  "free space" = {
    expr = map (arguments: (plan [ ] arguments).filesystem.freeSpace) [
      { }
      { additionalSpace = "1G"; }
      { additionalSpace = 4096; }
      {
        additionalSpace = "1G";
        diskSize = 100;
      }
    ];
    expected = [
      536870912
      1073741824
      4096
      0
    ];
  };
  "the identifiers of FAT file systems come from the root's" = {
    expr = map (partition: partition.content.id or null) (plan [ ] {
      partitionTableType = "efixbootldr";
    }).disk.partitions;
    expected = [
      "0xF222513B"
      "0xDED149FA"
      null
    ];
  };

  "a system is installed" = {
    expr = lib.attrNames (plan [ ] { configFile = ./default.nix; }).entries;
    expected = [
      "/etc/NIXOS"
      "/etc/nixos"
      "/etc/nixos/configuration.nix"
    ]
    ++ map (name: "${dirOf profiles}/${name}") [
      "gcroots/auto"
      "gcroots/profiles"
      "profiles/system"
      "profiles/system-1-link"
    ];
  };
  "the profile's target is the system" = {
    expr = (plan [ ] { }).entries."${profiles}/system-1-link".target;
    expected = "${(configuration [ ]).system.build.toplevel}";
  };
  "a channel" = {
    expr =
      let
        with' = disk [ ] { copyChannel = true; };
      in
      [
        (lib.length with'.exportReferencesGraph.closure)
        (with'.plan.entries ? "/root/.nix-defexpr/channels")
        (lib.hasSuffix "-nixos-25.11.stand-in" with'.plan.entries."${profiles}/per-user/root/channels-1-link".target)
      ];
    expected = [
      2
      true
      true
    ];
  };
  "Nix' database and no registration" = {
    expr = {
      inherit ((plan [ ] { }).closure) nixDatabase registrationTarget;
    };
    expected = {
      nixDatabase = true;
      registrationTarget = null;
    };
  };
  "the store's directory is that of Nix' builders" = {
    expr = (plan [ ] { }).attributes.${builtins.storeDir};
    expected = {
      uid = 0;
      gid = 30000;
      mode = "1775";
    };
  };
  "owners of contents, by number, by the configuration and by its fixed numbers" = {
    expr =
      let
        content = target: user: group: {
          source = ./default.nix;
          inherit target user group;
        };
      in
      removeAttrs
        (plan [ { users.users.joe.uid = 1000; } ] {
          contents = [
            (content "/a" "7" 8)
            (content "b//c" "joe" "users")
            (content "d" "root" "root" // { mode = "4755"; })
          ];
        }).attributes
        [ builtins.storeDir ];
    expected = {
      "/a" = {
        uid = 7;
        gid = 8;
        recursive = true;
      };
      "/b/c" = {
        uid = 1000;
        gid = 100;
        recursive = true;
      };
      "/d" = {
        uid = 0;
        gid = 0;
        mode = "4755";
        recursive = true;
      };
    };
  };

  "formats" = {
    expr =
      map
        (
          arguments:
          let
            made = disk [ ] arguments;
          in
          [
            made.plan.output.format or null
            (lib.hasInfix "$out/${(check ({ inherit pkgs; config = { }; } // arguments)).arguments.imageName}" made.buildCommand)
          ]
        )
        [
          { }
          { format = "qcow2"; }
          { format = "qcow2-compressed"; }
          {
            format = "vdi";
            baseName = "board";
          }
          { format = "vpc"; }
          {
            format = "vpc-fixed";
            imageName = "azure.vhd";
          }
        ];
    expected = [
      [
        null
        true
      ]
      [
        "qcow2"
        true
      ]
      [
        "qcow2"
        true
      ]
      [
        "vdi"
        true
      ]
      [
        "vhd"
        true
      ]
      [
        "vhd-fixed"
        true
      ]
    ];
  };
  "a disk can be flashed, a container cannot" = {
    expr = map (arguments: (disk [ ] arguments) ? flash) [
      { }
      { compressImage = true; }
      { format = "qcow2"; }
    ];
    expected = [
      true
      true
      false
    ];
  };
  "what nixpkgs' function takes for its virtual machine is ignored" = {
    expr =
      (disk [ ] {
        deterministic = false;
        reproducible = true;
        populateRootWith = "mke2fs";
        memSize = 4096;
        OVMF = null;
      }).drvPath;
    expected = (disk [ ] { }).drvPath;
  };
  "the plan's own word is the last" = {
    expr =
      let
        inherit
          (plan [ systemdBoot ] {
            partitionTableType = "efi";
            plan.boot.timeout = 1;
            plan.closure.registrationTarget = "/registration";
          })
          boot
          closure
          ;
      in
      [
        boot.timeout
        boot.kind
        closure.registrationTarget
      ];
    expected = [
      1
      "systemd-boot"
      "/registration"
    ];
  };

  "no boot loader" = {
    expr = map (p: p ? boot) [
      (plan [ ] { })
      (plan [ systemdBoot ] { installBootLoader = false; })
    ];
    expected = [
      false
      false
    ];
  };
  "systemd-boot" = {
    expr =
      let
        inherit
          (plan
            [
              systemdBoot
              {
                boot.loader.timeout = null;
                boot.loader.systemd-boot.editor = false;
                boot.loader.systemd-boot.bootCounting.enable = true;
              }
            ]
            { partitionTableType = "efi"; }
          )
          boot
          ;
      in
      removeAttrs boot [
        "loader"
        "system"
      ]
      // {
        loader = lib.last (lib.splitString "/" boot.loader);
      };
    expected = {
      kind = "systemd-boot";
      loader = "systemd-boot${import ../../../nix/efi-arch.nix pkgs.stdenv.hostPlatform}.efi";
      distroName = "NixOS";
      timeout = null;
      editor = false;
      consoleMode = "keep";
      rebootForBitlocker = false;
      extraEntries = { };
      extraFiles = { };
      entryNames = "hash";
      bootCountingTries = 3;
    };
  };
  "GRUB for BIOS" = {
    expr =
      let
        inherit (plan [ (grub { device = "/dev/sda"; }) ] { }) boot;
      in
      [
        boot.kind
        boot.bootPartition
        (boot ? efi)
        boot.bios.core
        boot.state.devices
        boot.configurationLimit
      ];
    expected = [
      "grub"
      "root"
      false
      "grub-core.img"
      [ "/dev/sda" ]
      100
    ];
  };
  "GRUB for both" = {
    expr =
      let
        inherit (plan [ both ] { partitionTableType = "hybrid"; }) boot;
      in
      [
        boot.bootPartition
        boot.efi
        (boot ? bios)
      ];
    expected = [
      "esp"
      {
        image = "grub.efi";
        bootloaderId = "grub";
        removable = true;
      }
      true
    ];
  };
  "extlinux" = {
    expr =
      removeAttrs (plan [ { boot.loader.generic-extlinux-compatible.enable = true; } ] { }).boot
        [ "system" ];
    expected = {
      kind = "extlinux";
      distroName = "NixOS";
      timeout = 5;
      bootPath = "/boot";
      bootPartition = "root";
      configurationLimit = 20;
      useGenerationDeviceTree = true;
      dtbName = null;
    };
  };

  "commands after a virtual machine" =
    wrong { postVM = "gzip $diskImage"; }
      "postVM: these commands run after a virtual machine, and there is none here; make a derivation of them that takes this image";
  "a root that is not ext4" =
    wrong { fsType = "xfs"; }
      "fsType: snugfs writes roots with ext4, not with xfs; choose ext4, or nixpkgs' make-disk-image.nix";
  "an image of the store only" =
    wrong { onlyNixStore = true; }
      "onlyNixStore: an image whose root is the store's directory cannot be made; make a whole root with makeExt4Fs and mount its nix/store";
  "variables of EFI" =
    wrong { touchEFIVars = true; }
      "touchEFIVars: the variables of EFI are written by a firmware that runs; set it to false, and let the firmware find the boot loader by its name (systemd-boot is always found, GRUB with boot.loader.grub.efiInstallAsRemovable)";
  "an unknown table" =
    wrong { partitionTableType = "gpt"; }
      ''partitionTableType: "gpt" is not one of legacy, legacy+boot, legacy+gpt, efi, efixbootldr, hybrid, none'';
  "an unknown format" =
    wrong { format = "vhdy"; }
      ''format: "vhdy" is not one of qcow2, qcow2-compressed, raw, tar, vdi, vhdx, vmdk, vmdk-sparse, vpc, vpc-fixed'';
  "a compressed image that is compressed" = wrong {
    format = "qcow2-compressed";
    compressImage = true;
  } "format: qcow2-compressed is compressed inside; set compressImage to false, or choose qcow2";
  "a wrong size of the boot partition" = wrong {
    bootSize = "1.5G";
    diskSize = 100;
  } ''bootSize: "1.5G" is not a size; write whole bytes or a string such as "512M"'';
  "a size that numfmt does not read" =
    wrong { additionalSpace = "512MiB"; }
      ''additionalSpace: "512MiB" is not a size; write whole bytes or a string such as "512M"'';
  "a disk that is shorter than its boot partition" = wrong {
    diskSize = 256;
    partitionTableType = "efi";
  } "diskSize: a disk of 256 MiB has no room for the root; choose at least 259, and what the contents need";
  "a disk of no length" = wrong { diskSize = 0; } ''diskSize: 0 is not "auto" or a number of MiB'';
  "a configuration that is none" = {
    expr =
      map (lib.removePrefix "makeNixosDisk: ")
        (check {
          inherit pkgs;
          config = { };
        }).problems;
    expected = [
      "config: a set is not the config of a NixOS configuration, such as nixosConfigurations.NAME.config"
    ];
  };
  "a seed of its own" =
    wrong { rootFSHashSeed = "14e19a7b-0ae0-484d-9d54-43bd6fdc20c7"; }
      "rootFSHashSeed: directory hashes start from the UUID of the file system; leave it out, or set rootFSUID to it";
  "a content with a user only" = wrong {
    contents = [
      {
        source = ./default.nix;
        target = "/a";
        user = "root";
      }
    ];
  } "contents: set both user and group of a content, or neither";
  "a user without a number" =
    wrong
      {
        contents = [
          {
            source = ./default.nix;
            target = "/a";
            user = "joe";
            group = "root";
          }
        ];
      }
      ''contents: /a: the user "joe" has no fixed number in the configuration; set users.users.joe.uid, or give the number'';
  "a mode in letters" = wrong {
    contents = [
      {
        source = ./default.nix;
        target = "/a";
        mode = "u+w";
      }
    ];
  } ''contents: mode: "u+w" is not a mode that can be set here; write an octal string such as "755"'';
  "set-id bits of a pattern" =
    wrong
      {
        contents = [
          {
            source = "/etc/*";
            target = "/a";
            mode = "4755";
          }
        ];
      }
      ''contents: /a: the mode "4755" of a pattern has set-id bits, which a build cannot set; declare the files in attributes'';

  "a boot loader of no known kind" = {
    expr = problems [ { boot.loader.limine.enable = true; } ] { };
    expected = [
      "config: the configuration's boot loader is limine, which only its own program can install; choose systemd-boot, GRUB or extlinux, or set installBootLoader = false"
    ];
  };
  "is nothing where none is installed" = {
    expr = problems [ { boot.loader.limine.enable = true; } ] { installBootLoader = false; };
    expected = [ ];
  };
  "secrets of the initial RAM disk" = {
    expr =
      problems
        [
          systemdBoot
          { boot.initrd.secrets."/key" = "/etc/key"; }
        ]
        { partitionTableType = "efi"; };
    expected = [
      "config: config.boot.initrd.secrets names files of a machine, and an image is no place for secrets; unset it"
    ];
  };
  "systemd-boot without a place" = {
    expr = problems [ systemdBoot ] { };
    expected = [
      "config: systemd-boot needs an EFI system partition; set partitionTableType to efi, efixbootldr or hybrid"
    ];
  };
  "an ESP in another place" = {
    expr =
      problems
        [
          systemdBoot
          { boot.loader.efi.efiSysMountPoint = "/boot/efi"; }
        ]
        { partitionTableType = "efi"; };
    expected = [
      "config: boot.loader.efi.efiSysMountPoint is /boot/efi, and a disk with partitionTableType efi has its EFI system partition at /boot; set it to that"
    ];
  };
  "GRUB for BIOS without a place" = {
    expr = problems [ both ] { partitionTableType = "efi"; };
    expected = [
      ''config: GRUB for BIOS (config.boot.loader.grub.devices) has no place on a disk with partitionTableType efi; set the devices to [ "nodev" ], or partitionTableType to hybrid, legacy or legacy+gpt''
    ];
  };
  "GRUB for nothing" = {
    expr = map (device: problems [ (grub { inherit device; }) ] { }) [
      "nodev"
      ""
    ];
    expected =
      let
        text = "config: GRUB is for neither BIOS nor EFI; set config.boot.loader.grub.device or config.boot.loader.grub.efiSupport, or installBootLoader = false";
      in
      [
        [ text ]
        [ text ]
      ];
  };
  "commands of a boot loader" = {
    expr = problems [
      (grub {
        device = "/dev/vda";
        extraInstallCommands = "true";
      })
    ] { };
    expected = [
      "config: config.boot.loader.grub.extraInstallCommands has commands, which run on a machine; do without them, or set installBootLoader = false and install the boot loader yourself"
    ];
  };
}
