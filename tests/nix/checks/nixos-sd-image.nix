# A NixOS configuration with nixpkgs' sd-image.nix and our module: the second partition of its SD image is the root
# file system that snugfs made.
{
  pkgs,
  lib,
  module,
  ...
}:
let
  inherit
    (import (pkgs.path + "/nixos/lib/eval-config.nix") {
      system = null;
      inherit pkgs;
      modules = [
        (pkgs.path + "/nixos/modules/installer/sd-card/sd-image.nix")
        module
        {
          sdImage = {
            # Not a whole system: it would say nothing more.
            storePaths = lib.mkForce [ pkgs.hello ];
            compressImage = false;
            populateFirmwareCommands = "";
            populateRootCommands = "mkdir -p ./files/boot";
            snugfs.freeSpace = "4MiB";
          };
          system.stateVersion = "25.11";
        }
      ];
    })
    config
    ;
in
pkgs.runCommand "check-nixos-sd-image"
  {
    nativeBuildInputs = [
      pkgs.util-linux
      pkgs.e2fsprogs
    ];
  }
  ''
    img=$(echo ${config.system.build.sdImage}/sd-image/*.img)
    root=${config.sdImage.rootFilesystemImage}
    START=$(partx "$img" -o START --noheadings | tail -1)
    cmp --bytes="$(stat -c %s "$root")" --ignore-initial=$((START * 512)):0 "$img" "$root"
    dumpe2fs -h "$root" 2>/dev/null | grep 'volume name: *NIXOS_SD'
    touch "$out"
  ''
