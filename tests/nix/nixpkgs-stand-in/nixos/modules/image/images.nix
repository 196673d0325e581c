# Image variants, as NixOS has them since 25.05.
{
  config,
  extendModules,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  diskImage =
    settings:
    { ... }:
    {
      imports = [ ../virtualisation/disk-image.nix ];
      config.image = settings;
    };
  variants = {
    amazon = ../../maintainers/scripts/ec2/amazon-image.nix;
    azure = ../virtualisation/azure-image.nix;
    digital-ocean = ../virtualisation/digital-ocean-image.nix;
    google-compute = ../virtualisation/google-compute-image.nix;
    hyperv = ../virtualisation/hyperv-image.nix;
    kubevirt = ../virtualisation/kubevirt.nix;
    linode = ../virtualisation/linode-image.nix;
    oci = ../virtualisation/oci-image.nix;
    openstack = ../../maintainers/scripts/openstack/openstack-image.nix;
    proxmox = ../virtualisation/proxmox-image.nix;
    qemu-efi = diskImage { };
    qemu = diskImage { efiSupport = false; };
    raw-efi = diskImage { format = "raw"; };
    raw = diskImage {
      format = "raw";
      efiSupport = false;
    };
    vagrant-virtualbox = ../virtualisation/vagrant-virtualbox-image.nix;
    virtualbox = ../virtualisation/virtualbox-image.nix;
    vmware = ../virtualisation/vmware-image.nix;
  };
in
{
  options.image.modules = mkOption { type = types.lazyAttrsOf types.deferredModule; };
  config.image.modules = lib.mkIf (!(config.system.build ? image)) variants;
  config.system.build.images = lib.mkIf (!(config.system.build ? image)) (
    lib.mapAttrs (
      _name: module:
      let
        variant = (extendModules { modules = [ module ]; }).config;
      in
      lib.recursiveUpdate variant.system.build.image {
        passthru = {
          config = variant;
          inherit (variant.image) filePath;
        };
      }
    ) config.image.modules
  );
}
