# The module of image variants beside nixpkgs' own.
{ pkgs, lib }:
let
  module = ../../../nix/images-module.nix;
  evaluate =
    modules:
    import (pkgs.path + "/nixos/lib/eval-config.nix") {
      system = null;
      inherit pkgs;
      modules = modules ++ [ { system.stateVersion = "25.11"; } ];
    };
  images = modules: (evaluate ([ module ] ++ modules)).config.system.build.images;
  nixpkgs = (evaluate [ ]).config.system.build.images;
  # Whether snugfs makes it.
  isOurs = image: image ? explain && image ? report && image ? plan;
  of = variant: modules: (images modules).${variant};
in
{
  "the variants, and which of them snugfs makes" = {
    expr = lib.mapAttrs (_name: isOurs) (images [ ]);
    expected = lib.mapAttrs (_name: _image: true) nixpkgs // {
      vagrant-virtualbox = false;
    };
  };
  "names, paths and what they carry are nixpkgs'" = {
    expr = lib.mapAttrs (_name: image: [
      image.name
      image.passthru.filePath
      (image.passthru.config ? system)
    ]) (images [ ]);
    expected = lib.mapAttrs (_name: image: [
      image.name
      image.passthru.filePath
      true
    ]) nixpkgs;
  };
  "an image is at its path" = {
    expr = lib.mapAttrs (
      _name: image: lib.hasInfix "$out/${lib.removeSuffix ".gz" image.passthru.filePath}" image.buildCommand
    ) (lib.filterAttrs (_name: isOurs) (images [ ]));
    expected = lib.mapAttrs (_name: _image: true) (
      lib.filterAttrs (_name: isOurs) (images [ ])
    );
  };
  "formats and tables" = {
    expr = lib.mapAttrs (_name: image: [
      image.plan.output.format or null
      image.plan.output.compression.format or null
      image.plan.disk.table or null
      (lib.length image.plan.disk.partitions or [ ])
      image.plan.boot.kind
    ]) (lib.filterAttrs (_name: isOurs) (images [ ]));
    expected =
      let
        legacy = format: [
          format
          null
          "mbr"
          1
          "grub"
        ];
        efi = format: kind: [
          format
          null
          "gpt"
          2
          kind
        ];
        gzipped = format: [
          format
          "gzip"
          "mbr"
          1
          "grub"
        ];
      in
      {
        amazon = [
          "vhd"
          null
          "gpt"
          2
          "grub"
        ];
        azure = legacy "vhd-fixed";
        digital-ocean = gzipped "qcow2";
        google-compute = gzipped "tar";
        hyperv = efi "vhdx" "grub";
        kubevirt = legacy "qcow2";
        linode = [
          null
          "gzip"
          null
          0
          "grub"
        ];
        oci = efi "qcow2" "grub";
        openstack = legacy "qcow2";
        proxmox = legacy null;
        qemu = legacy "qcow2";
        qemu-efi = efi "qcow2" "systemd-boot";
        raw = legacy null;
        raw-efi = efi null "systemd-boot";
        virtualbox = legacy null;
        vmware = efi "vmdk-sparse" "grub";
      };
  };
  "nixpkgs' options reach them" = {
    expr =
      let
        azure = of "azure" [
          {
            image.modules.azure = {
              virtualisation.azureImage.vmGeneration = "v2";
              virtualisation.azureImage.bootSize = 512;
              virtualisation.azureImage.label = "cloud";
              virtualisation.diskSize = 2048;
              image.baseName = "board";
            };
          }
        ];
      in
      [
        azure.passthru.filePath
        azure.plan.filesystem.label
        azure.plan.disk.size
        (lib.head azure.plan.disk.partitions).size
      ];
    expected = [
      "board.vhd"
      "cloud"
      "2048MiB"
      "505MiB"
    ];
  };
  "and so do ours" = {
    expr =
      (of "raw" [
        {
          image.snugfs = {
            growTo = "64GiB";
            plan.filesystem.reservedPercent = 0;
          };
        }
      ]).plan.filesystem
      // {
        uuid = null;
      };
    expected = {
      label = "nixos";
      uuid = null;
      freeSpace = 536870912;
      freeInodes = 1024;
      growTo = "64GiB";
      reservedPercent = 0;
    };
  };
  "one variant may differ" = {
    expr =
      map
        (
          variant:
          (of variant [ { image.modules.raw.image.snugfs.growTo = null; } ]).plan.filesystem.growTo
        )
        [
          "raw"
          "raw-efi"
        ];
    expected = [
      null
      "1TiB"
    ];
  };
  "a VMDK of one file is written in one pass" = {
    expr =
      map
        (
          format:
          let
            inherit ((of "vmware" [ { image.modules.vmware.vmware.vmSubformat = format; } ]).plan) output;
          in
          lib.filterAttrs (name: _value: lib.elem name [ "format" "adapter" "member" ]) output
        )
        [
          "monolithicSparse"
          "streamOptimized"
          "monolithicFlat"
        ];
    expected = [
      {
        format = "vmdk-sparse";
        adapter = "ide";
        member = (of "vmware" [ ]).passthru.filePath;
      }
      {
        format = "vmdk";
        adapter = "ide";
      }
      { }
    ];
  };
  "where nixpkgs' commands make the image, the disk is at hand" = {
    expr =
      let
        image = of "virtualbox" [ ];
      in
      [
        (image.disk ? explain)
        (lib.hasInfix (builtins.unsafeDiscardStringContext "${image.disk}/nixos.img") image.buildCommand)
      ];
    expected = [
      true
      true
    ];
  };
  "Amazon's scripts find what they read" = {
    expr = lib.hasInfix "image-info.json" (of "amazon" [ ]).buildCommand;
    expected = true;
  };
  "what the user forces wins" = {
    expr = (of "raw" [ { image.modules.raw.system.build.image = lib.mkForce pkgs.hello; } ]).name;
    expected = pkgs.hello.name;
  };
  "a builder of the user's own wins" = {
    expr =
      (of "azure" [ { image.modules.azure.system.build.azureImage = lib.mkForce pkgs.hello; } ]).name;
    expected = pkgs.hello.name;
  };
  "a variant of the user's own is not touched" = {
    expr =
      (of "mine" [
        {
          image.modules.mine =
            { lib, ... }:
            {
              imports = [ (pkgs.path + "/nixos/modules/image/file-options.nix") ];
              config.image.extension = "img";
              config.system.build.image = pkgs.hello;
            };
        }
      ]).name;
    expected = pkgs.hello.name;
  };
  "what snugfs cannot make is left to nixpkgs" = {
    expr =
      map isOurs [
        (of "amazon" [ { image.modules.amazon.ec2.zfs.enable = true; } ])
        (of "digital-ocean" [
          { image.modules.digital-ocean.virtualisation.digitalOceanImage.compressionMethod = "bzip2"; }
        ])
      ];
    expected = [
      false
      false
    ];
  };
  "switched off, nixpkgs makes all of them" = {
    expr = lib.mapAttrs (_name: image: image.drvPath) (images [ { image.snugfs.enable = false; } ]);
    expected = lib.mapAttrs (_name: image: image.drvPath) nixpkgs;
  };
  "no warning" = {
    expr = (evaluate [ module ]).config.warnings;
    expected = [ ];
  };
  "without nixpkgs' option there is a warning" = {
    expr =
      map (lib.hasPrefix "image.snugfs: there is no option image.modules here")
        (lib.evalModules {
          modules = [
            module
            {
              options.warnings = lib.mkOption { type = lib.types.listOf lib.types.str; };
            }
          ];
        }).config.warnings;
    expected = [ true ];
  };
}
