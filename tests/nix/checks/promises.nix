# freeSpace and freeInodes are kept.
{
  pkgs,
  makeExt4Fs,
  ...
}:
let
  image = makeExt4Fs {
    storePaths = [ pkgs.hello ];
    volumeLabel = "PROMISES";
    freeSpace = "40MiB";
    freeInodes = 20000;
  };
in
pkgs.runCommand "check-promises" { nativeBuildInputs = [ pkgs.e2fsprogs ]; } ''
  dumpe2fs -h ${image} > header 2>/dev/null
  field() { sed -n "s/^$1: *//p" header; }
  blocks=$(field 'Free blocks')
  inodes=$(field 'Free inodes')
  echo "free: $blocks blocks, $inodes inodes"
  test "$(field 'Block size')" = 4096
  # Exact except for the granularity of the format.
  test "$blocks" -ge 10240
  test "$blocks" -le 10260
  test "$inodes" -ge 20000
  touch "$out"
''
