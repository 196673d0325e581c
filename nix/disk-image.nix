# The derivation of a disk, for makeDiskImage and makeSdImage, which check their arguments before.
{
  # Those that the two share, with the root's names: volumeLabel, uuid.
  arguments,
  # The plan's section.
  disk,
  populateCommands,
  closures ? { },
  passthru ? { },
}:
let
  inherit (arguments) pkgs lib directory;
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
    inherit plan;
    closures = closures // {
      closure = arguments.storePaths;
    };
    layout =
      if directory == null then
        null
      else
        {
          inherit directory;
          file = arguments.imageName;
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
