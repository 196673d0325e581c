# Images of several kinds pass the tests that every image carries.
{
  pkgs,
  lib,
  makeExt4Fs,
  ...
}:
let
  image =
    arguments:
    makeExt4Fs (
      {
        storePaths = [ pkgs.hello ];
        volumeLabel = "TEST";
      }
      // arguments
    );
  images = {
    plain = image { };
    empty = image { storePaths = [ ]; };
    compressed = image {
      compressImage = true;
      compressionLevel = 19;
      uuid = "14E19A7B-0AE0-484D-9D54-43BD6FDC20C7";
    };
    verified = image {
      verify = "hash";
      volumeLabel = "SIXTEEN-LETTERS-";
    };
    fixed = image {
      growTo = null;
      freeSpace = 0;
      freeInodes = 0;
    };
    referring = image { keepReferences = true; };
  };
in
pkgs.runCommand "check-images" {
  tests = lib.concatMap (kind: lib.mapAttrsToList (_name: test: "${test}") images.${kind}.tests) (
    lib.attrNames images
  );
} ''printf '%s\n' $tests > "$out"''
