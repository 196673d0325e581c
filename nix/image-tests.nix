# What every image must satisfy, as derivations: `nix-build -A image.tests`. Judged by tools that are not ours.
{
  pkgs,
  lib,
  image,
  storePaths,
  # What decompresses.
  tool,
}:
let
  inherit (pkgs) buildPackages;
  plain = image.uncompressed;
  label = image.plan.filesystem.label;
  uuid = lib.toLower image.plan.filesystem.uuid;
in
{
  # Not only the exit status: e2fsck also reports what it would not repair.
  fsck =
    buildPackages.runCommand "ext4-fs-fsck" { nativeBuildInputs = [ buildPackages.e2fsprogs ]; }
      ''
        e2fsck -fn ${plain} > log 2>&1 || { cat log; exit 1; }
        if grep -vE '^(e2fsck |Pass [1-5]:|.*: [0-9]+/[0-9]+ files )' log; then exit 1; fi
        dumpe2fs -h ${plain} > header 2>/dev/null
        grep -x "Filesystem volume name: *"${
          lib.escapeShellArg (if label == "" then "<none>" else label)
        } header
        grep -x "Filesystem UUID: *"${uuid} header
        touch "$out"
      '';

  # What the first boot loads into the board's database is what nixpkgs' closureInfo would have given it.
  registration =
    buildPackages.runCommand "ext4-fs-registration" { nativeBuildInputs = [ buildPackages.e2fsprogs ]; }
      ''
        debugfs -R 'cat /nix-path-registration' ${plain} > registration 2>/dev/null
        cmp registration ${buildPackages.closureInfo { rootPaths = lib.toList storePaths; }}/registration
        touch "$out"
      '';

  # The compressed image is the other one, compressed.
  compressed =
    buildPackages.runCommand "ext4-fs-compressed" { nativeBuildInputs = [ buildPackages.${tool} ]; }
      ''
        ${tool} -dc ${image.compressed} > image
        cmp image ${plain}
        touch "$out"
      '';
}
