{ pkgs, ... }:
{
  nixpkgs.hostPlatform = "aarch64-linux";
  # On an x86_64-linux machine without an ARM builder, cross-compile:
  # nixpkgs.buildPlatform = "x86_64-linux";

  sdImage.snugfs = {
    # The whole SD image in one derivation; without it, the root file system alone comes from snugfs.
    onePass = true;
    # Boot loaders that the chip reads from a fixed place outside of the partitions:
    # blobs = [ { source = "${pkgs.ubootPine64}/u-boot-sunxi-with-spl.bin"; offset = "8KiB"; } ];
    # Room for what the first boot writes before it grows the file system.
    freeSpace = "64MiB";
    # Owners and set-id bits cannot be had from populateRootCommands: declare them.
    # attributes."/home/pi" = { uid = 1000; gid = 100; mode = "0700"; recursive = true; };
  };

  networking.hostName = "board";
  services.openssh.enable = true;
  system.stateVersion = "25.11";
}
