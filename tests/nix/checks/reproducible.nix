# The bytes depend neither on the name of the derivation nor on the number of cores.
{
  pkgs,
  lib,
  makeExt4Fs,
  ...
}:
let
  image =
    compressImage:
    makeExt4Fs {
      storePaths = [ pkgs.hello ];
      volumeLabel = "AGAIN";
      inherit compressImage;
      populateImageCommands = "mkdir -p ./files/boot; echo x > ./files/boot/x";
    };
  again =
    compressImage:
    (image compressImage).overrideAttrs (old: {
      name = "again.img";
      buildCommand = "export NIX_BUILD_CORES=1\n" + old.buildCommand;
    });
in
pkgs.runCommand "check-reproducible" { } (
  lib.concatMapStringsSep "\n" (compress: "cmp ${image compress} ${again compress}") [
    false
    true
  ]
  + "\ntouch $out"
)
