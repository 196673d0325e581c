# NixOS module: the image variants that nixpkgs makes with make-disk-image.nix (`system.build.images`, `nixos-rebuild
# build-image`) are made by snugfs, under the same names and paths.
{
  config,
  lib,
  options,
  ...
}:
let
  table = import ./arguments.nix { inherit lib; };
  cfg = config.image.snugfs;

  # The variant's own evaluation imports this module beside nixpkgs' one.
  variant =
    {
      config,
      lib,
      modulesPath,
      options,
      pkgs,
      ...
    }:
    let
      cfg = config.image.snugfs;
      found = import ./image-variants.nix {
        inherit
          config
          lib
          modulesPath
          options
          pkgs
          ;
      };
      # nixpkgs' builder, or what the configuration put in its place.
      builder = if found.attribute == null then null else config.system.build.${found.attribute};
      ownBuilder = builder != null && !(builder ? postVM);

      inherit (found) arguments convert;
      suffix =
        if arguments.compressImage or false then
          (import ./compression.nix { inherit lib; }).suffix { format = arguments.compressionFormat; }
        else
          "";
      disk = import ./make-nixos-disk.nix (
        {
          inherit config lib pkgs;
          diskSize = config.virtualisation.diskSize or "auto";
          snugfs = cfg.package;
        }
        // (
          if convert then
            { }
          else
            {
              inherit (config.image) baseName;
              imageName = lib.removeSuffix suffix config.image.fileName;
            }
        )
        // arguments
        // removeAttrs cfg [
          "enable"
          "package"
        ]
        // lib.optionalAttrs (arguments ? compressionLevel && cfg.compressionLevel == null) {
          inherit (arguments) compressionLevel;
        }
      );
      # What nixpkgs does with the raw disk of its virtual machine.
      converted = pkgs.stdenv.mkDerivation {
        inherit (builder) name;
        nativeBuildInputs = [ pkgs.buildPackages.util-linux ];
        buildCommand = ''
          mkdir "$out"
          diskImage=$PWD/nixos.raw
          cp --reflink=auto ${disk}/nixos.img "$diskImage"
          chmod u+w "$diskImage"
          ${builder.postVM}
        '';
        passthru = {
          inherit disk;
          inherit (disk) explain plan report;
        };
      };
      image =
        if ownBuilder then
          builder
        else if convert then
          converted
        else if found.finish != null then
          found.finish disk
        else
          disk;
    in
    {
      # Above nixpkgs' plain definition, below what the user forces.
      config.system.build.image = lib.mkIf (cfg.enable && found != null && found.keep == null) (
        lib.mkOverride 75 image
      );
    };

  # Some releases have a list of modules for each variant.
  withVariant =
    module:
    if builtins.isList module then
      module ++ [ variant ]
    else
      {
        imports = [
          module
          variant
        ];
      };
  # Older releases are known by their lib: the option that is declared here would lack a description for their manual.
  isOlder = builtins.compareVersions (lib.trivial.release or "25.05") "25.05" < 0;
  # This module is one of those that declare the option.
  missing = isOlder || lib.length options.image.modules.declarations < 2;
in
{
  options.image = {
    snugfs = import ./options.nix { inherit lib; } table.ofImages;
  }
  // lib.optionalAttrs (!isOlder) {
    modules = lib.mkOption {
      apply = modules: lib.mapAttrs (_name: withVariant) modules;
    };
  };

  config = lib.optionalAttrs (options ? warnings) {
    warnings =
      lib.optional (cfg.enable && missing)
        "image.snugfs: there is no option image.modules here, so snugfs does nothing; use NixOS 25.05 or newer, or call makeNixosDisk";
  };
}
