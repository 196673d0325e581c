# The image variants of NixOS that nixpkgs makes with make-disk-image.nix, by the options that they declare: the arguments
# of makeNixosDisk that give the same disk. For each:
#   found       whether the configuration imports the variant's module; decided by options only
#   attribute   where its builder is in system.build, if not only at image
#   keep        why this configuration's image is left to nixpkgs, or null
#   arguments   of makeNixosDisk, besides those of all variants
#   finish      what changes the derivation, or null
#   convert     whether nixpkgs' own commands (postVM) make the image of the raw disk, in a second derivation
{
  config,
  options,
  lib,
  pkgs,
  modulesPath,
}:
let
  inherit (config) image virtualisation;
  system = pkgs.stdenv.hostPlatform.system;
  nothing = {
    attribute = null;
    keep = null;
    arguments = { };
    finish = null;
    convert = false;
  };
  declares = lib.hasAttrByPath;

  # A configuration.nix that imports what the machine's own configuration needs.
  importing =
    file:
    pkgs.writeText "configuration.nix" ''
      { modulesPath, ... }:
      {
        imports = [ "''${modulesPath}/${file}" ];
      }
    '';
  ofNixpkgs =
    file:
    let
      path = "${toString modulesPath}/${file}";
    in
    if builtins.pathExists path then
      pkgs.writeText "configuration.nix" (builtins.readFile path)
    else
      null;
  # Recent NixOS has one option for the file in all variants.
  configFile =
    default:
    if declares [ "virtualisation" "configFile" ] options && virtualisation.configFile != null then
      virtualisation.configFile
    else
      default;
  orDefault = value: default: if value != null then value else default;

  variants = [
    (
      nothing
      // {
        # qemu, qemu-efi, raw, raw-efi
        found = declares [ "image" "efiSupport" ] options && declares [ "image" "format" ] options;
        arguments = {
          inherit (image) format;
          partitionTableType = if image.efiSupport then "efi" else "legacy";
        };
      }
    )
    (
      let
        cfg = config.amazonImage;
      in
      nothing
      // {
        found = declares [ "amazonImage" "format" ] options;
        attribute = "amazonImage";
        keep = if config.ec2.zfs.enable or false then "ec2.zfs asks for a root with ZFS" else null;
        arguments = {
          inherit (cfg) contents format;
          name = image.baseName;
          partitionTableType = if config.ec2.efi then "efi" else "legacy+gpt";
          configFile = configFile (
            pkgs.writeText "configuration.nix" ''
              { modulesPath, ... }:
              {
                imports = [ "''${modulesPath}/virtualisation/amazon-image.nix" ];
                ${lib.optionalString config.ec2.efi "ec2.efi = true;"}
              }
            ''
          );
        };
        # What nixpkgs' scripts that upload the image read.
        finish =
          disk:
          disk.overrideAttrs (old: {
            nativeBuildInputs = old.nativeBuildInputs ++ [ pkgs.buildPackages.jq ];
            buildCommand =
              old.buildCommand
              + ''
                echo "file ${cfg.format} $img" >> "$out/nix-support/hydra-build-products"
                jq -n \
                  --arg system_version ${lib.escapeShellArg config.system.nixos.version} \
                  --arg boot_mode ${if config.ec2.efi then "uefi" else "legacy-bios"} \
                  --arg system ${system} \
                  --arg logical_bytes "$(jq .image.bytes ${disk.report})" \
                  --arg file "$img" \
                  '{ label: $system_version, $boot_mode, $system, $logical_bytes, $file, disks: { root: { $logical_bytes, $file } } }' \
                  > "$out/nix-support/image-info.json"
              '';
          });
      }
    )
    (
      let
        cfg = virtualisation.azureImage;
      in
      nothing
      // {
        found = declares [ "virtualisation" "azureImage" "vmGeneration" ] options;
        attribute = "azureImage";
        arguments = {
          inherit (cfg) contents label;
          name = "azure-image";
          format = "vpc-fixed";
          bootSize = "${toString cfg.bootSize}M";
          partitionTableType = if cfg.vmGeneration == "v2" then "efi" else "legacy";
          configFile = configFile (ofNixpkgs "virtualisation/azure-config-user.nix");
        }
        // lib.optionalAttrs (cfg ? additionalSpace) { inherit (cfg) additionalSpace; };
      }
    )
    (
      let
        cfg = virtualisation.digitalOceanImage;
      in
      nothing
      // {
        found = declares [ "virtualisation" "digitalOceanImage" ] options;
        attribute = "digitalOceanImage";
        keep =
          if cfg.compressionMethod == "gzip" then
            null
          else
            "snugfs does not compress with ${cfg.compressionMethod}; set virtualisation.digitalOceanImage.compressionMethod to gzip";
        arguments = {
          name = "digital-ocean-image";
          format = "qcow2";
          compressImage = true;
          compressionFormat = "gzip";
          configFile = configFile (orDefault cfg.configFile virtualisation.digitalOcean.defaultConfigFile);
        };
      }
    )
    (
      let
        cfg = virtualisation.googleComputeImage;
      in
      nothing
      // {
        found = declares [ "virtualisation" "googleComputeImage" "compressionLevel" ] options;
        attribute = "googleComputeImage";
        arguments = {
          name = "google-compute-image";
          format = "tar";
          compressImage = true;
          compressionFormat = "gzip";
          inherit (cfg) compressionLevel;
          contents = cfg.contents or [ ];
          partitionTableType = if cfg.efi then "efi" else "legacy";
          configFile = configFile (
            orDefault cfg.configFile (importing "virtualisation/google-compute-image.nix")
          );
        };
      }
    )
    (
      nothing
      // {
        found = declares [ "hyperv" "vmDerivationName" ] options;
        attribute = "hypervImage";
        arguments = {
          name = config.hyperv.vmDerivationName;
          format = "vhdx";
          partitionTableType = "efi";
        };
      }
    )
    (
      let
        cfg = virtualisation.linodeImage;
      in
      nothing
      // {
        found = declares [ "virtualisation" "linodeImage" "compressionLevel" ] options;
        attribute = "linodeImage";
        arguments = {
          name = "linode-image";
          partitionTableType = "none";
          compressImage = true;
          compressionFormat = "gzip";
          inherit (cfg) compressionLevel;
          configFile = configFile (orDefault cfg.configFile (importing "virtualisation/linode-image.nix"));
        };
      }
    )
    (
      nothing
      // {
        found = declares [ "oci" "efi" ] options;
        attribute = "OCIImage";
        arguments = {
          name = "oci-image";
          format = "qcow2";
          partitionTableType = if config.oci.efi then "efi" else "legacy";
          configFile = configFile (ofNixpkgs "virtualisation/oci-config-user.nix");
        };
      }
    )
    (
      nothing
      // {
        found = declares [ "proxmox" "filenameSuffix" ] options;
        attribute = "VMA";
        convert = true;
        arguments = {
          name = "proxmox-${config.proxmox.filenameSuffix}";
          inherit (config.proxmox) partitionTableType;
          inherit (config.proxmox.qemuConf) additionalSpace bootSize;
        };
      }
    )
    (
      let
        cfg = config.virtualbox;
      in
      nothing
      // {
        found = declares [ "virtualbox" "baseImageFreeSpace" ] options;
        attribute = "virtualBoxOVA";
        convert = true;
        keep =
          if config.system.build ? vagrantVirtualbox then
            "the box is made of system.build.virtualBoxOVA, which is nixpkgs'"
          else if cfg.extraDisk or null != null then
            "virtualbox.extraDisk is a second disk, which nixpkgs' commands make"
          else
            null;
        arguments = {
          name = cfg.vmDerivationName;
          partitionTableType = "legacy";
          additionalSpace = "${toString cfg.baseImageFreeSpace}M";
        };
      }
    )
    (
      let
        cfg = config.vmware;
        # Others have several files, or a descriptor of another version.
        format =
          if cfg.vmCompat6 or false then
            null
          else
            {
              streamOptimized = "vmdk";
              monolithicSparse = "vmdk-sparse";
            }
            .${cfg.vmSubformat} or null;
      in
      nothing
      // {
        found = declares [ "vmware" "vmSubformat" ] options;
        attribute = "vmwareImage";
        convert = format == null;
        arguments = {
          name = cfg.vmDerivationName;
          partitionTableType = "efi";
        }
        // lib.optionalAttrs (format != null) { inherit format; }
        // lib.optionalAttrs (cfg ? baseImageSize) { diskSize = cfg.baseImageSize; };
      }
    )
    # These declare no options of their own, so they are known by what they define.
    (
      nothing
      // {
        found = true;
        attribute = "kubevirtImage";
        arguments = {
          format = "qcow2";
          diskSize = "auto";
        };
      }
    )
    (
      nothing
      // {
        found = true;
        attribute = "cloudstackImage";
        arguments = {
          format = "qcow2";
          configFile = configFile (importing "virtualisation/cloudstack-config.nix");
        };
      }
    )
    (
      nothing
      // {
        found = true;
        attribute = "openstackImage";
        # The options of openstack-zfs.
        keep = if options ? openstackImage then "it asks for a root with ZFS" else null;
        arguments = {
          format = "qcow2";
          diskSize = "auto";
          additionalSpace = "1024M";
          configFile = configFile (importing "virtualisation/openstack-config.nix");
        };
      }
    )
  ];
in
lib.findFirst (
  variant:
  variant.found && (variant.attribute == null || config.system.build ? ${variant.attribute})
) null variants
