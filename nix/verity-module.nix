# NixOS module: a system whose store is in a root with a hash tree, as makeNixosDisk writes it with `verity = true`. The
# kernel gets the root hash, the initial RAM disk opens the root with it as /dev/mapper/root, and the root directory is in
# memory.
{
  lib,
  options,
  ...
}:
let
  verity = import ./verity.nix { inherit lib; };
in
{
  config = {
    # snugfs replaces the name by the root hash in the entries of the boot loader.
    boot.kernelParams = [ verity.kernelParam ];

    boot.initrd.systemd = {
      enable = true;
    }
    # Releases before 24.11 do not have it.
    // lib.optionalAttrs (options.boot.initrd.systemd ? dmVerity) { dmVerity.enable = true; };

    # A file system of the machine's own takes precedence.
    fileSystems = {
      "/" = lib.mkDefault {
        device = "tmpfs";
        fsType = "tmpfs";
        options = [ "mode=0755" ];
      };
      "/verified" = lib.mkDefault {
        device = "/dev/mapper/root";
        fsType = "ext4";
        options = [ "ro" ];
        neededForBoot = true;
        # Every block is checked when it is read, and nothing could be repaired.
        noCheck = true;
      };
      "/nix/store" = lib.mkDefault {
        device = "/verified/nix/store";
        fsType = "none";
        options = [
          "bind"
          "ro"
        ];
        neededForBoot = true;
      };
    };
  };
}
