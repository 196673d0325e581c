# Boot loaders with the options and defaults of NixOS, and a system with a bootspec: a kernel, an initial RAM disk and
# Busybox' shell as the first program, where the host has them.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };
  bool = option types.bool;
  text = option types.str;
  int = option types.int;
  orNull = type: option (types.nullOr type) null;
  raw = option types.raw;
  cfg = config.boot;
in
{
  options.systemd.package = option types.package pkgs.systemd;
  options.boot = {
    growPartition = bool false;
    kernelParams = option (types.listOf types.str) [ ];
    kernel = option types.package pkgs.linux;
    initrd.secrets = raw { };
    initrd.systemd.enable = bool false;
    initrd.systemd.dmVerity.enable = bool false;
    # Configurations beside this one, by name: their kernel's parameters.
    specialisations = raw { };
    loader = {
      timeout = option (types.nullOr types.int) 5;
      efi = {
        efiSysMountPoint = text "/boot";
        canTouchEfiVariables = bool false;
      };
      systemd-boot = {
        enable = bool false;
        editor = bool true;
        consoleMode = text "keep";
        rebootForBitlocker = bool false;
        xbootldrMountPoint = orNull types.str;
        extraEntries = raw { };
        extraFiles = raw { };
        extraInstallCommands = text "";
        bootCounting = {
          enable = bool false;
          tries = int 3;
        };
      };
      grub = {
        enable = bool false;
        device = text "";
        devices = option (types.listOf types.str) (lib.optional (cfg.loader.grub.device != "") cfg.loader.grub.device);
        efiSupport = bool false;
        efiInstallAsRemovable = bool false;
        configurationLimit = int 100;
        copyKernels = bool false;
        default = option (types.either types.int types.str) "0";
        fsIdentifier = text "uuid";
        timeoutStyle = text "menu";
        extraConfig = text "";
        extraPerEntryConfig = text "";
        extraPrepareConfig = text "";
        extraInstallCommands = text "";
        extraEntries = text "";
        extraEntriesBeforeNixOS = bool false;
        entryOptions = text "--class nixos --unrestricted";
        subEntryOptions = text "--class nixos";
        font = raw null;
        splashImage = raw null;
        splashMode = text "stretch";
        backgroundColor = orNull types.str;
        gfxmodeEfi = text "auto";
        gfxmodeBios = text "1024x768";
        gfxpayloadEfi = text "keep";
        gfxpayloadBios = text "text";
        theme = raw null;
        users = raw { };
        useOSProber = bool false;
      };
      generic-extlinux-compatible = {
        enable = bool false;
        configurationLimit = int 20;
        useGenerationDeviceTree = bool true;
      };
      limine.enable = bool false;
    };
  };
  config.system.build.toplevel =
    let
      spec = kernelParams: init: {
        "org.nixos.bootspec.v1" = {
          system = pkgs.stdenv.hostPlatform.system;
          label = "NixOS ${config.system.nixos.label}";
          kernel = "${cfg.kernel}/bzImage";
          initrd = "${pkgs.initrd}/initrd";
          inherit kernelParams init;
          toplevel = dirOf init;
        };
      };
      system = builtins.placeholder "out";
      specialisations = lib.mapAttrs (
        name: kernelParams:
        spec (cfg.kernelParams ++ kernelParams) "${system}/specialisation/${name}/init"
        // {
          "org.nixos.specialisation.v1" = { };
        }
      ) cfg.specialisations;
    in
    pkgs.mkDerivation {
      name = "nixos-system-stand-in-${config.system.nixos.label}";
      bootspec = builtins.toJSON (
        spec cfg.kernelParams "${system}/init"
        // {
          "org.nixos.specialisation.v1" = specialisations;
        }
      );
      specialisations = lib.attrNames cfg.specialisations;
      passAsFile = [ "bootspec" ];
      buildCommand = ''
        mkdir "$out"
        ln -s ${pkgs.hello}/bin/hello "$out/init"
        ln -s ${cfg.kernel}/bzImage "$out/kernel"
        ln -s ${pkgs.initrd}/initrd "$out/initrd"
        for name in $specialisations; do
          mkdir -p "$out/specialisation/$name"
          ln -s ${pkgs.greeter}/bin/greet "$out/specialisation/$name/init"
          printf %s ${config.system.nixos.label} > "$out/specialisation/$name/nixos-version"
        done
        cp "$bootspecPath" "$out/boot.json"
        printf %s ${config.system.nixos.label} > "$out/nixos-version"
      '';
    };
}
