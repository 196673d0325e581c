# Disks of small NixOS configurations, one for each way to boot. tests/nix/steps/52-nixos-disk builds and checks them.
{
  source,
  standIn,
  # The folder with systemd-boot, and one with a kernel and an initial RAM disk; "" for texts in their place.
  systemdBoot,
  kernel ? "",
  overlays ? [ ],
}:
let
  pkgs = import standIn {
    inherit overlays;
    config = {
      systemdBoot = /. + systemdBoot;
    }
    // (if kernel == "" then { } else { kernel = /. + kernel; });
  };
  configuration =
    module:
    (import (standIn + "/nixos/lib/eval-config.nix") {
      system = null;
      inherit pkgs;
      modules = [
        (source + "/nix/images-module.nix")
        {
          system.stateVersion = "25.11";
          boot.kernelParams = [ "console=ttyS0" ];
          boot.specialisations.rescue = [ "rescue" ];
          users.users.joe.uid = 1000;
        }
        module
      ];
    }).config;
  disk =
    module: arguments:
    pkgs.callPackage (source + "/nix/make-nixos-disk.nix") (
      {
        config = configuration module;
        copyChannel = false;
        additionalSpace = "8M";
        bootSize = "64M";
      }
      // arguments
    );
  grub = settings: { boot.loader.grub = { enable = true; } // settings; };
  verified = {
    imports = [ (source + "/nix/verity-module.nix") ];
    boot.loader.systemd-boot.enable = true;
  };
  bios = grub { device = "/dev/vda"; };
in
{
  efi =
    disk
      {
        boot.loader.systemd-boot.enable = true;
        boot.loader.timeout = 1;
      }
      {
        partitionTableType = "efi";
        copyChannel = true;
        configFile = pkgs.writeText "configuration.nix" "{ }";
        additionalPaths = [ pkgs.jq ];
        contents = [
          {
            source = "${pkgs.greeter}/*";
            target = "/opt/greeter";
            mode = "0644";
            user = "joe";
            group = "users";
          }
          {
            source = "${pkgs.hello}/bin/hello";
            target = "/usr/bin/hello";
            mode = "4755";
            user = "0";
            group = "0";
          }
          {
            source = pkgs.hello;
            target = "srv/hello";
          }
        ];
      };
  efixbootldr =
    disk
      {
        boot.loader.systemd-boot.enable = true;
        boot.loader.systemd-boot.xbootldrMountPoint = "/boot";
        boot.loader.efi.efiSysMountPoint = "/efi";
      }
      {
        partitionTableType = "efixbootldr";
        bootSize = "192M";
      };
  hybrid = disk (grub {
    devices = [ "/dev/vda" ];
    efiSupport = true;
    efiInstallAsRemovable = true;
  }) { partitionTableType = "hybrid"; };
  legacy = disk bios { };
  legacy-gpt = disk bios {
    partitionTableType = "legacy+gpt";
    diskSize = 100;
  };
  extlinux = disk { boot.loader.generic-extlinux-compatible.enable = true; } { };
  verity = disk verified {
    partitionTableType = "efi";
    additionalSpace = 0;
    verity = true;
  };
  # The stub of systemd with a command line, by objcopy: what ukify does, without a kernel.
  verity-uki = disk verified {
    partitionTableType = "efi";
    additionalSpace = 0;
    verity = true;
    installBootLoader = false;
    uki =
      roothash:
      pkgs.runCommand "uki.efi" { } ''
        echo "init=/init roothash=$(cat ${roothash})" > cmdline
        objcopy --add-section .cmdline=cmdline --change-section-vma .cmdline=0x30000 ${systemdBoot}/linuxx64.efi.stub "$out"
      '';
  };
  none = disk { } {
    partitionTableType = "none";
    diskSize = "64";
  };
  qcow2 = disk bios { format = "qcow2"; };
  qcow2-compressed = disk bios { format = "qcow2-compressed"; };
  vdi = disk bios { format = "vdi"; };
  vpc = disk bios { format = "vpc"; };
  vpc-fixed = disk bios { format = "vpc-fixed"; };
  vhdx = disk bios { format = "vhdx"; };
  vmdk = disk bios { format = "vmdk"; };
  vmdk-sparse = disk bios { format = "vmdk-sparse"; };

  inherit ((configuration { }).system.build) images;
}
