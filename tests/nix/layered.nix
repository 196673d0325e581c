# Images in layers: firmware, libraries that refer to it, and an application in versions. Each has more than the 1 MiB
# from which a store path has frames of its own.
{
  pkgs,
  makeExt4Fs ? null,
  # Other levels are other layers and images.
  level ? null,
}:
rec {
  large =
    name: start: uses:
    pkgs.runCommand name { } ''
      mkdir -p "$out/share"
      seq ${toString start} ${toString (start + 400000)} > "$out/share/numbers"
      echo ${toString uses} > "$out/uses"
    '';
  firmware = large "firmware" 1000000 [ ];
  libraries = large "libraries" 2000000 [ firmware ];
  app = version: large "app-${toString version}" (3000000 + version) [ libraries ];

  layers = [
    [ firmware ]
    [ libraries ]
  ];
  arguments = version: {
    storePaths = [ (app version) ];
    compressImage = true;
    compressionLevel = level;
  };
  image =
    version: more:
    makeExt4Fs (
      arguments version
      // {
        volumeLabel = "LAYERS";
        inherit layers;
      }
      // more
    );
  # The image with a cache, so that its log has how many frames were in no layer.
  counted =
    image:
    image.overrideAttrs (old: {
      buildCommand = ''
        export SNUGFS_CACHE=$PWD/cache
      ''
      + old.buildCommand;
    });
}
