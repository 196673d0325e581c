# The derivation of an image: the commands run, then the program reads the plan and the closures' graphs from Nix' own
# JSON file. Beside the plan (what nix/plan.nix gives) it takes what becomes of the result.
{
  pkgs,
  lib,
  # The program, or null for that of the builder's packages.
  snugfs,
}:
{
  name,
  plan,
  # The closures' roots by the key that the plan has for their graph.
  closures,
  # The roots of each layer, a list of lists.
  layers,
  # Shell commands that make what the plan names in the build's folder. They see the final place of the image as $img.
  commands,
  # null: the result is the image. { directory; file; product; }: the result is a folder that has the image as
  # directory/file, or directory/file.zst (or .gz, .xz), and what Hydra wants to know, as nixpkgs' images have it.
  # Without a directory, the image is at the top of the folder. `product` is Hydra's name for its format.
  layout ? null,
  # The image's length becomes a multiple of so many bytes. null: it is as long as its parts.
  roundTo ? null,
  # Shell commands that change the finished image, which they get uncompressed as $img; it is compressed after them.
  postBuildCommands ? "",
  keepReferences,
  passthru,
}:
let
  compression = plan.output.compression or null;
  compressed = formats.isWhole compression;
  # With commands after the image, compressing it is not the program's.
  changed = postBuildCommands != "";
  program =
    if snugfs != null then
      snugfs
    else
      # What callPackage gives from an overlay, mkDerivation replaces by its twin for the builder's platform.
      pkgs.buildPackages.snugfs or (pkgs.buildPackages.callPackage ./package.nix { });

  formats = import ./compression.nix { inherit lib; };
  suffix = formats.suffix compression;
  format = formats.of compression.format;
  level = compression.level or format.level;
  compress = format.compress level;

  # What is not compressed has no frames, and then no derivation of a layer is built.
  usedLayers = lib.optionals (compressed && compression.frames or false) (
    import ./layer.nix { inherit pkgs lib program; } {
      inherit layers level keepReferences;
      verify = plan.closure.verify or null;
    }
  );
  build = lib.concatStringsSep " " (
    [ "snugfs build \"$attributes\" --base-dir \"$PWD\" --progress nix" ]
    ++ map (layer: "--layer ${layer}") usedLayers
  );

  folder = if layout.directory == null then "$out" else "$out/${layout.directory}";
  place =
    if layout != null then
      ''
        mkdir -p "${folder}" "$out/nix-support"
        img=${folder}/${layout.file}
        echo ${pkgs.stdenv.buildPlatform.system} > "$out/nix-support/system"
        echo "file ${layout.product} $img${suffix}" >> "$out/nix-support/hydra-build-products"
      ''
    else
      ''
        img=${if compressed then "temp.img" else "$out"}
      '';
  target = if layout != null then "$img${suffix}" else "$out";

  # No environment, so no limit on the length of anything. Nix writes the plan and the closures' graphs into one
  # JSON file, which the program reads: no derivation beside this one, no copy of the closure.
  sources = {
    __structuredAttrs = true;
    exportReferencesGraph = lib.mapAttrs (_key: lib.toList) closures;
  }
  # Absent rather than false: Nix 2.14 to 2.17 refuse the mere name.
  // lib.optionalAttrs (!keepReferences) { unsafeDiscardReferences.out = true; };

  # What the program reads. Only it knows the length, which is then given to it.
  attributes =
    "attributes=$NIX_ATTRS_JSON_FILE\n"
    + lib.optionalString (roundTo != null) ''
      jq '.plan.output.format = null' "$attributes" > "$NIX_BUILD_TOP/unrounded.json"
      bytes=$(snugfs size "$NIX_BUILD_TOP/unrounded.json" --base-dir "$PWD" --quiet --json | jq .image.bytes)
      jq --argjson size $(((bytes + ${toString roundTo} - 1) / ${toString roundTo} * ${toString roundTo})) \
        '${if plan.disk or null == null then ".plan.filesystem.size" else ".plan.disk.size"} = $size' \
        "$attributes" > "$NIX_BUILD_TOP/rounded.json"
      attributes=$NIX_BUILD_TOP/rounded.json
    '';
  inputs = [ program ] ++ lib.optional (roundTo != null) pkgs.buildPackages.jq;

  # Whether the root has a hash tree: true, or its parameters.
  hasTree = verity: verity != null && verity != false;

  # What a device can hold: no container.
  isDisk = builtins.elem (plan.output.format or null) [
    null
    "raw"
  ];
  # A program that writes the image to a card or a disk.
  flash =
    image:
    pkgs.buildPackages.writeShellScriptBin "snugfs-flash" ''
      exec ${program}/bin/snugfs flash ${
        if layout == null then image else lib.replaceStrings [ "$out" ] [ "${image}" ] "${folder}/${layout.file}${suffix}"
      } "$@"
    '';

  # A derivation of what the program says about the image, which is not made for it.
  about =
    suffix: command:
    pkgs.stdenv.mkDerivation (
      sources
      // {
        name = "${name}-${suffix}";
        inherit plan;
        nativeBuildInputs = inputs;
        buildCommand = ''
          img=$PWD/no-image
          export img
          (
          ${commands}
          )
          ${attributes}
          ${command}
        '';
      }
    );
in
# A function, so that a change by overrideAttrs is what `flash` writes.
pkgs.stdenv.mkDerivation (
  finalAttrs:
  sources
  // {
    inherit name;
    passthru = passthru // lib.optionalAttrs isDisk { flash = flash finalAttrs.finalPackage; }
    # Reads the root, and writes 64 digits.
    // lib.optionalAttrs (hasTree (plan.filesystem.verity or null) && !(passthru ? roothash)) {
      roothash = about "roothash" ''
        snugfs roothash "$attributes" --base-dir "$PWD" --progress nix > "$out"
      '';
    }
    // {
      layers = usedLayers;
      explain = about "explain.html" ''
        snugfs explain "$attributes" --base-dir "$PWD" --progress nix --html "$out"
      '';
      layout = about "layout.zst" ''
        snugfs size "$attributes" --base-dir "$PWD" --progress nix --layout-out "$out" > /dev/null
      '';
      report = about "report.json" ''
        snugfs size "$attributes" --base-dir "$PWD" --progress nix --json > "$out"
      '';
    };

    plan = if changed then plan // { output = plan.output // { compression = null; }; } else plan;

    nativeBuildInputs = inputs ++ lib.optional (changed && compressed) pkgs.buildPackages.${format.tool};

    buildCommand = ''
      ${place}
      export img
      (
      ${commands}
      )
      if [ -e "$img" ]; then
        echo "the commands that populate the image wrote to \$img, which is made after them; give what they write as blobs, or write it in postBuildCommands" >&2
        exit 1
      fi
      ${attributes}
    ''
    + (
      if changed then
        ''
          ${build} -o "$img"
          chmod u+w "$img"
          (
          ${postBuildCommands}
          )
        ''
        + lib.optionalString compressed ''
          ${compress} --stdout < "$img" > "${target}"
          rm "$img"
        ''
      else
        ''
          ${build} -o "${target}"
        ''
    );
  }
)
