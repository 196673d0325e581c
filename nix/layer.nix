# The derivations of layers: each has the compressed frames of the large store paths of a closure, except those that are
# in the closures of earlier layers. It depends on nothing else of the image, so Nix keeps, substitutes and distributes it.
{
  pkgs,
  lib,
  # The program of the image: another one may write other frames.
  program,
}:
{
  # The roots of each layer, a list of lists.
  layers,
  level,
  # plan.closure.verify of the image. Frames of store paths whose hashes were compared have other keys.
  verify,
  # As for the image.
  keepReferences,
}:
let
  layer =
    index: roots:
    let
      earlier = lib.concatLists (lib.genList (lib.elemAt layers) index);
    in
    pkgs.stdenv.mkDerivation (
      {
        name = "snugfs-layer-${toString (index + 1)}";
        __structuredAttrs = true;
        exportReferencesGraph = {
          closure = roots;
        }
        // lib.optionalAttrs (earlier != [ ]) { inherit earlier; };
        plan = {
          version = 1;
          closure = {
            graph = "closure";
            inherit (builtins) storeDir;
            sourceDir = builtins.storeDir;
          }
          // lib.optionalAttrs (verify != null) { inherit verify; };
          output.compression = {
            format = "zstd";
            inherit level;
            frames = true;
          };
        };
        nativeBuildInputs = [ program ];
        buildCommand = ''
          snugfs layer "$NIX_ATTRS_JSON_FILE" -o "$out" --progress nix${
            lib.optionalString (earlier != [ ]) " --except-graph earlier"
          }
        '';
      }
      # Absent rather than false: Nix 2.14 to 2.17 refuse the mere name.
      // lib.optionalAttrs (!keepReferences) { unsafeDiscardReferences.out = true; }
    );
in
lib.imap0 layer layers
