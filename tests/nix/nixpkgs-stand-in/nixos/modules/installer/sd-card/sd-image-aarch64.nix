# The same, as configurations for 64-bit ARM boards import it.
{
  imports = [ ./sd-image.nix ];
  sdImage.populateRootCommands = "mkdir -p ./files/boot";
}
