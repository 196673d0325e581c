# From the arguments of makeExt4Fs to the program's plan: pure, so that tests evaluate it without a build.
{ lib }:
{
  arguments,
  # The plan's section of this name, where the image is a disk.
  disk ? null,
}:
let
  inherit (builtins) isAttrs;
  framed = if arguments.frames == null then arguments.layers != [ ] else arguments.frames;
  compression = import ./compression.nix { inherit lib; };

  generated = {
    version = 1;
    closure = {
      # The key of the structured attributes under which Nix writes the graph.
      graph = "closure";
      storeDir = builtins.storeDir;
      sourceDir = builtins.storeDir;
      inherit (arguments) verify deduplicate nixDatabase;
    };
    trees = [
      {
        source = "files";
        target = "/";
      }
    ]
    ++ arguments.trees;
    inherit (arguments) entries attributes;
    filesystem = {
      label = arguments.volumeLabel;
      inherit (arguments) uuid;
    }
    // (
      if arguments.seal then
        { inherit (arguments) seal; }
      else
        { inherit (arguments) freeSpace freeInodes growTo; }
    )
    // lib.optionalAttrs (arguments.verity or false) { verity = true; }
    // lib.optionalAttrs (arguments.layoutLike or null != null) { layoutLike = "${arguments.layoutLike}"; };
    # Null is the bare file system.
    inherit disk;
    output = {
      compression =
        if arguments.compressImage then
          {
            format = arguments.compressionFormat;
            level =
              if arguments.compressionLevel != null then
                arguments.compressionLevel
              else
                (compression.of arguments.compressionFormat).level;
          }
          // lib.optionalAttrs framed { frames = true; }
        else
          null;
      verify = arguments.verifyOutput;
    };
  };
in
# One level deep: whole values are replaced below the sections' fields, so that two kinds of entry never mix.
generated
// lib.mapAttrs (
  name: value:
  if isAttrs value && isAttrs (generated.${name} or null) then generated.${name} // value else value
) arguments.plan
