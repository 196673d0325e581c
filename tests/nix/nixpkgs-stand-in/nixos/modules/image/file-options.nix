# Names of images.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  text =
    default: lib.mkOption ({ type = lib.types.str; } // lib.optionalAttrs (default != null) { inherit default; });
in
{
  options.image = {
    baseName = text "nixos-image-${config.system.nixos.label}-${pkgs.stdenv.hostPlatform.system}";
    extension = text null;
    fileName = text "${config.image.baseName}.${config.image.extension}";
    filePath = text config.image.fileName;
  };
}
