# Images have the same bytes with layers and without.
{
  pkgs,
  lib,
  makeExt4Fs,
  makeSdImage,
  makeDiskImage,
  ...
}:
let
  layered = import ../layered.nix { inherit pkgs; };
  inherit (layered) firmware layers;
  arguments = layered.arguments 1;
  ext4 =
    more:
    makeExt4Fs (
      arguments
      // {
        volumeLabel = "LAYERS";
      }
      // more
    );
  sd = more: makeSdImage (arguments // more);
  disk =
    more:
    makeDiskImage (
      arguments
      // {
        closures.data = [ firmware ];
        disk = {
          table = "gpt";
          partitions = [
            {
              type = "linux";
              content = {
                kind = "ext4";
                closure = {
                  graph = "data";
                  inherit (builtins) storeDir;
                  sourceDir = builtins.storeDir;
                };
              };
            }
            {
              type = "root-x86-64";
              content.kind = "root";
            }
          ];
        };
      }
      // more
    );
  compare = make: more: ''
    cmp ${make (more // { inherit layers; })} ${make (more // { frames = true; })}
  '';
  withEmpty = ext4 {
    layers = [
      [ ]
      [ pkgs.hello ]
      [ firmware ]
    ];
  };
  compared = lib.concatStrings [
    (compare ext4 { })
    (compare ext4 { verify = "hash"; })
    (compare ext4 {
      compressionLevel = 9;
      deduplicate = true;
    })
    (compare sd { })
    (compare disk { })
  ];
in
pkgs.runCommand "check-layers"
  {
    nativeBuildInputs = [
      pkgs.e2fsprogs
      pkgs.zstd
    ];
  }
  ''
    ${compared}
    # Two of the layers have nothing that is in the image.
    cmp ${ext4 { frames = true; }} ${withEmpty}
    zstd -dc ${ext4 { inherit layers; }} > image
    cmp image ${ext4 { compressImage = false; }}
    e2fsck -fn image
    touch "$out"
  ''
