{ config, pkgs, ... }:
{
  nixpkgs.hostPlatform = "aarch64-linux";
  # On an x86_64-linux machine without an ARM builder, cross-compile:
  # nixpkgs.buildPlatform = "x86_64-linux";

  sdImage.snugfs = {
    # snugfs makes the whole SD image in one derivation. With false, it only makes the root file system.
    onePass = true;
    # Boot loaders at a fixed offset, outside of the partitions:
    # blobs = [ { source = "${pkgs.ubootPine64}/u-boot-sunxi-with-spl.bin"; offset = "8KiB"; } ];
    # Compress what rarely changes once, and not again with each image:
    # layers = [ [ config.hardware.firmware config.system.modulesTree ] [ config.system.path ] ];
    # Free space for the first boot, before the file system grows.
    freeSpace = "64MiB";
    # Commands in the sandbox can't set owners and setuid bits. Declare them:
    # attributes."/home/pi" = { uid = 1000; gid = 100; mode = "0700"; recursive = true; };
  };

  networking.hostName = "board";
  services.openssh.enable = true;
  system.stateVersion = "25.11";
}
