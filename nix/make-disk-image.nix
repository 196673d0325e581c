# A whole disk in one derivation: partition table, boot loaders, FAT and ext4 file systems, as docs/plan-format.md
# describes them under `disk`. Its arguments: arguments.nix, or docs/nix.md.
import ./function.nix {
  name = "makeDiskImage";
  make =
    {
      self,
      given,
      arguments,
    }:
    let
      inherit (arguments) lib verity;
      variant =
        compress:
        if compress == arguments.compressImage then
          image
        else
          self (removeAttrs given [ "name" ] // { compressImage = compress; });
      image = import ./disk-image.nix {
        arguments = arguments // lib.optionalAttrs verity { seal = true; };
        disk =
          if verity then
            (import ./verity.nix { inherit lib; }).withTree arguments.disk
          else
            arguments.disk;
        inherit (arguments) populateCommands closures;
        passthru = {
          uncompressed = variant false;
          compressed = variant true;
        };
      };
    in
    image;
}
