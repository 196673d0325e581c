# What the formats of compression need outside of the program.
{ lib }:
let
  formats = {
    zstd = {
      suffix = ".zst";
      level = 3;
      highest = 22;
      tool = "zstd";
      compress = level: "zstd --quiet -T\"$NIX_BUILD_CORES\" ${lib.optionalString (level > 19) "--ultra "}-${toString level}";
    };
    gzip = {
      suffix = ".gz";
      level = 6;
      highest = 9;
      tool = "gzip";
      compress = level: "gzip --no-name -${toString level}";
    };
    xz = {
      suffix = ".xz";
      level = 6;
      highest = 9;
      tool = "xz";
      # With the plus sign, one thread writes what several do.
      compress = level: "xz -T\"+$NIX_BUILD_CORES\" -${toString level}";
    };
  };
  # The clusters of a container, by its own means.
  inside = "deflate";
in
{
  names = lib.attrNames formats;

  # Of a format.
  of = format: formats.${format};

  # The ending of a file's name by `output.compression` of a plan.
  suffix =
    compression:
    lib.optionalString (compression != null && compression.format != inside) formats.${compression.format}.suffix;

  # Whether the file is compressed as a whole.
  isWhole = compression: compression != null && compression.format != inside;
}
