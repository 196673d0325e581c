# The derivation of a disk, for makeDiskImage and makeSdImage, which check their arguments before.
{
  # Those that the two share, with the root's names: volumeLabel, uuid.
  arguments,
  # The plan's section.
  disk,
  populateCommands,
  closures ? { },
  passthru ? { },
  # As image.nix has it.
  roundTo ? null,
  # As image.nix has it, too.
  layout ?
    if arguments.directory == null then
      null
    else
      {
        inherit (arguments) directory;
        product = arguments.directory;
        file = arguments.imageName;
      },
}:
let
  inherit (arguments) pkgs lib;
  plan = import ./plan.nix { inherit lib; } { inherit arguments disk; };
in
import ./image.nix
  {
    inherit pkgs lib;
    inherit (arguments) snugfs;
  }
  {
    inherit (arguments)
      name
      postBuildCommands
      keepReferences
      layers
      ;
    inherit plan layout roundTo;
    closures = closures // {
      closure = arguments.storePaths;
    };
    commands = ''
      (
      mkdir -p ./files
      ${arguments.populateRootCommands}
      )
      ${populateCommands}
    '';
    passthru = {
      inherit plan;
    }
    // passthru;
  }
