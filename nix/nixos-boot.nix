# The boot loader of a NixOS configuration: the plan's section `boot`, the shell commands that make what it names, and
# what of the configuration cannot be done without running it.
{ lib }:
{
  config,
  partitionTableType,
}:
let
  inherit (import ./values.nix { inherit lib; }) no;
  loader = config.boot.loader;
  enabled = name: loader.${name}.enable or false;

  # Those with a section in the plan, in the order of NixOS' own precedence; then those that only their own programs
  # install.
  known = [
    "systemd-boot"
    "grub"
    "generic-extlinux-compatible"
  ];
  others = lib.filter enabled [
    "external"
    "initScript"
    "kboot-loader"
    "limine"
    "refind"
  ];
  kind = lib.findFirst enabled null known;
  hasTable = partitionTableType != "none";

  option = name: "config.boot.loader.${name}";
  # An option that some releases of NixOS do not have.
  of = set: name: default: set.${name} or default;
  # What runs on the machine, or in nixpkgs' virtual machine.
  noCommands =
    name: value:
    no (value == "") "${option name} has commands, which run on a machine; do without them, or set installBootLoader = false and install the boot loader yourself";

  # Where the FAT partitions of the table are mounted while nixpkgs installs a boot loader, by their type.
  mounted =
    {
      efi.esp = "/boot";
      hybrid.esp = "/boot";
      efixbootldr = {
        esp = "/efi";
        xbootldr = "/boot";
      };
      "legacy+boot".other = "/boot";
    }
    .${partitionTableType} or { };
  hasEsp = mounted ? esp;
  espPath = loader.efi.efiSysMountPoint or "/boot";
  espIsWhereItSays =
    what:
    no hasEsp "${what} needs an EFI system partition; set partitionTableType to efi, efixbootldr or hybrid"
    ++ no (!hasEsp || espPath == mounted.esp) "boot.loader.efi.efiSysMountPoint is ${espPath}, and a disk with partitionTableType ${partitionTableType} has its EFI system partition at ${mounted.esp}; set it to that";
  # The partition that holds a directory of the machine.
  partitionOf =
    path:
    lib.findFirst (type: mounted.${type} == path) "root" (lib.attrNames mounted);

  common = {
    system = "${config.system.build.toplevel}";
    timeout = loader.timeout or 5;
    distroName = config.system.nixos.distroName or "NixOS";
  };

  loaders = {
    "systemd-boot" =
      let
        sd = loader.systemd-boot;
        xbootldr = of sd "xbootldrMountPoint" null;
        counting = of sd "bootCounting" { };
      in
      {
        problems =
          espIsWhereItSays "systemd-boot"
          ++ no (xbootldr == null || xbootldr == mounted.xbootldr or null) "${option "systemd-boot.xbootldrMountPoint"} is ${toString xbootldr}; set partitionTableType to efixbootldr, which has this partition at /boot"
          ++ no (xbootldr != null || !(mounted ? xbootldr)) "a disk with partitionTableType efixbootldr has its kernels in /boot; set ${option "systemd-boot.xbootldrMountPoint"} to that"
          ++ noCommands "systemd-boot.extraInstallCommands" (of sd "extraInstallCommands" "")
          ++ no (!(sd.uki.enable or false)) "${option "systemd-boot.uki"} makes kernel images on the machine; switch it off";
        plan =
          { efiArch, ... }:
          common
          // {
            kind = "systemd-boot";
            loader = "${config.systemd.package}/lib/systemd/boot/efi/systemd-boot${efiArch}.efi";
            inherit (sd) editor consoleMode;
            rebootForBitlocker = of sd "rebootForBitlocker" false;
            extraEntries = of sd "extraEntries" { };
            extraFiles = lib.mapAttrs (_path: file: "${file}") (of sd "extraFiles" { });
          }
          # NixOS' builder names entries by their hashes since it counts boots.
          // lib.optionalAttrs (sd ? bootCounting) {
            entryNames = "hash";
            bootCountingTries = if counting.enable or false then counting.tries or 3 else null;
          };
        commands = _: "";
      };

    grub =
      let
        grub = loader.grub;
        devices = lib.unique (grub.devices or [ grub.device ]);
        bios = lib.any (device: device != "nodev") devices;
        efi = grub.efiSupport or false;
        boots = grub.mirroredBoots or [ ];
        path = if boots == [ ] then "/boot" else (lib.head boots).path;
        partition = partitionOf path;
        canTouch = loader.efi.canTouchEfiVariables or false;
        bootloaderId =
          let
            given = if boots == [ ] then null else (lib.head boots).efiBootloaderId or null;
          in
          if given != null then
            given
          else
            "${common.distroName}${lib.replaceStrings [ "/" ] [ "-" ] espPath}";
        hasBiosPlace = partitionTableType != "efi" && partitionTableType != "efixbootldr" && hasTable;
        set = name: value: no value "${option "grub.${name}"} is set, which needs the machine; unset it";

        # As grub.nix chooses it.
        packageOf =
          pkgs: efiSupport:
          let
            of = if grub.forcei686 or false then pkgs.pkgsi686Linux else pkgs;
            change =
              lib.optionalAttrs (grub.zfsSupport or false) { zfsSupport = true; }
              // lib.optionalAttrs efiSupport { inherit efiSupport; };
          in
          if change == { } then of.grub2 else of.grub2.override change;
        font = of grub "font" null;
        fontOf =
          pkgs:
          if font == null then
            null
          else if lib.hasSuffix ".pf2" "${font}" then
            "${font}"
          else
            "${pkgs.buildPackages.runCommand "grub-font-converted.pf2" { } ''
              ${pkgs.buildPackages.grub2}/bin/grub-mkfont ${font} --output "$out" ${
                lib.optionalString (grub.fontSize or null != null) "--size ${toString grub.fontSize}"
              }
            ''}";
        textOf = name: of grub name "";

        # The file system with the directory of GRUB, and GRUB's own path there.
        prefix = if partition == "root" then "${path}/grub" else "/grub";
        modulesOf = target: [
          (if partition == "root" then "ext2" else "fat")
          "part_gpt"
          "part_msdos"
          "search_fs_uuid"
        ]
        ++ lib.optional (target == "i386-pc") "biosdisk";
        image =
          {
            package,
            mkimage,
            output,
          }:
          let
            target = package.grubTarget;
          in
          ''
            mkdir -p grub-files/${target}
            cp ${package}/lib/grub/${target}/*.mod ${package}/lib/grub/${target}/*.lst grub-files/${target}/
            ${mkimage}/bin/grub-mkimage --directory ${package}/lib/grub/${target} --format ${target} \
              --config grub-load.cfg --prefix ${lib.escapeShellArg prefix} --output ${output} \
              ${toString (modulesOf target)}
            cp ${output} grub-files/${target}/${if target == "i386-pc" then "core.img" else "core.efi"}
          '';
      in
      {
        needsNoTable = !bios && !efi;
        problems =
          no (lib.length boots <= 1) "${option "grub.mirroredBoots"} has several boot directories; leave one"
          # Without a partition table, the host has GRUB itself, which reads grub.cfg in the root.
          ++ no (bios || efi || !hasTable) "GRUB is for neither BIOS nor EFI; set ${option "grub.device"} or ${option "grub.efiSupport"}, or installBootLoader = false"
          ++ lib.optionals efi (espIsWhereItSays "GRUB with efiSupport")
          ++ no (!bios || hasBiosPlace) "GRUB for BIOS (${option "grub.devices"}) has no place on a disk with partitionTableType ${partitionTableType}; set the devices to [ \"nodev\" ], or partitionTableType to hybrid, legacy or legacy+gpt"
          ++ no (partition != "other") "a disk with partitionTableType legacy+boot has /boot on a partition where GRUB is not installed; choose legacy, or set installBootLoader = false"
          ++ noCommands "grub.extraPrepareConfig" (textOf "extraPrepareConfig")
          ++ noCommands "grub.extraInstallCommands" (textOf "extraInstallCommands")
          ++ set "users" (grub.users or { } == { })
          ++ set "useOSProber" (!(grub.useOSProber or false))
          ++ set "theme" (grub.theme or null == null)
          ++ set "extraGrubInstallArgs" (grub.extraGrubInstallArgs or [ ] == [ ])
          ++ set "enableCryptodisk" (!(grub.enableCryptodisk or false))
          ++ no (grub.storePath or "/nix/store" == "/nix/store") "${option "grub.storePath"} is ${toString (grub.storePath or "")}; only /nix/store is possible";
        plan =
          { pkgs, ... }:
          common
          // {
            kind = "grub";
            bootPath = path;
            bootPartition = partition;
            inherit (grub)
              configurationLimit
              copyKernels
              default
              fsIdentifier
              splashMode
              gfxmodeEfi
              gfxmodeBios
              gfxpayloadEfi
              gfxpayloadBios
              ;
            timeoutStyle = of grub "timeoutStyle" "menu";
            extraConfig = textOf "extraConfig";
            extraPerEntryConfig = textOf "extraPerEntryConfig";
            extraEntries = textOf "extraEntries";
            extraEntriesBeforeNixOS = of grub "extraEntriesBeforeNixOS" false;
            font = fontOf pkgs;
            splashImage = if grub.splashImage or null == null then null else "${grub.splashImage}";
            backgroundColor = of grub "backgroundColor" null;
          }
          // lib.filterAttrs (_name: value: value != null) {
            entryOptions = of grub "entryOptions" null;
            subEntryOptions = of grub "subEntryOptions" null;
          }
          // lib.optionalAttrs (bios || efi) { files = "grub-files"; }
          // {
            state = {
              name = lib.getName (packageOf pkgs false);
              version = lib.getVersion (packageOf pkgs false);
              inherit devices;
              efiSysMountPoint = espPath;
            };
          }
          // lib.optionalAttrs efi {
            efi = {
              image = "grub.efi";
              # Without these, grub-install calls it "grub".
              bootloaderId = if canTouch then bootloaderId else "grub";
              removable = !canTouch && grub.efiInstallAsRemovable or false;
            };
          }
          // lib.optionalAttrs bios {
            bios = {
              boot = "${packageOf pkgs false}/lib/grub/i386-pc/boot.img";
              core = "grub-core.img";
            };
          };
        commands =
          { pkgs, fsUUIDs }:
          let
            fsUUID = fsUUIDs.${partition};
            # Made for the machine; the program that reads it is the builder's.
            mkimage =
              if pkgs.stdenv.buildPlatform.system == pkgs.stdenv.hostPlatform.system then
                packageOf pkgs efi
              else
                pkgs.buildPackages.grub2;
            biosPackage = packageOf pkgs false;
          in
          lib.optionalString (bios || efi) (
            ''
              mkdir -p grub-files/fonts grub-files/locale
              printf '%s\n' ${lib.escapeShellArg "search.fs_uuid ${fsUUID} root"} ${lib.escapeShellArg "set prefix=($root)'${prefix}'"} > grub-load.cfg
              # As grub-editenv creates it: 1024 bytes.
              { printf '%s\n' '# GRUB Environment Block' '# WARNING: Do not edit this file by tools other than grub-editenv!!!'; head -c 1024 /dev/zero | tr '\0' '#'; } | head -c 1024 > grub-files/grubenv
              if [ -e ${biosPackage}/share/grub/unicode.pf2 ]; then cp ${biosPackage}/share/grub/unicode.pf2 grub-files/fonts/; fi
              for file in ${biosPackage}/share/locale/*/LC_MESSAGES/grub.mo; do
                if [ -e "$file" ]; then
                  language=''${file%/LC_MESSAGES/grub.mo}
                  cp "$file" "grub-files/locale/''${language##*/}.mo"
                fi
              done
            ''
            + lib.optionalString bios (image {
              package = biosPackage // {
                grubTarget = "i386-pc";
              };
              output = "grub-core.img";
              inherit mkimage;
            })
            + lib.optionalString bios ''
              cp ${biosPackage}/lib/grub/i386-pc/boot.img grub-files/i386-pc/
            ''
            + lib.optionalString efi (image {
              package = packageOf pkgs true;
              output = "grub.efi";
              inherit mkimage;
            })
          );
      };

    generic-extlinux-compatible =
      let
        ext = loader.generic-extlinux-compatible;
        boots = ext.mirroredBoots or [ ];
        path = if boots == [ ] then "/boot" else (lib.head boots).path;
        partition = partitionOf path;
      in
      {
        needsNoTable = true;
        problems =
          no (lib.length boots <= 1) "${option "generic-extlinux-compatible.mirroredBoots"} has several boot directories; leave one"
          ++ no (partition != "other") "a disk with partitionTableType legacy+boot has /boot on a partition where extlinux is not installed; choose legacy, or set installBootLoader = false";
        plan =
          _:
          common
          // {
            kind = "extlinux";
            bootPath = path;
            bootPartition = partition;
            inherit (ext) configurationLimit;
            useGenerationDeviceTree = ext.useGenerationDeviceTree or true;
            dtbName = config.hardware.deviceTree.name or null;
          };
        commands = _: "";
      };
  };
in
{
  # The section's kind by NixOS' name, or null where the configuration has no boot loader.
  inherit kind;
  problems =
    no (others == [ ]) "the configuration's boot loader is ${lib.concatStringsSep ", " others}, which only its own program can install; choose systemd-boot, GRUB or extlinux, or set installBootLoader = false"
    ++ lib.optionals (kind != null) (
      loaders.${kind}.problems
      ++ no (
        config.boot.initrd.secrets or { } == { }
      ) "config.boot.initrd.secrets names files of a machine, and an image is no place for secrets; unset it"
      ++ no (hasTable || (loaders.${kind}.needsNoTable or false)) "a boot loader needs a partition table; choose another partitionTableType, or set installBootLoader = false"
    );
  plan = if kind == null then _: null else loaders.${kind}.plan;
  commands = if kind == null then _: "" else loaders.${kind}.commands;
}
