# What building and testing snugfs needs.
{ pkgs }:
pkgs.mkShell {
  packages = [
    pkgs.cargo
    pkgs.clippy
    pkgs.rustc
    pkgs.rustfmt
    # The tests' judges.
    pkgs.dosfstools
    pkgs.e2fsprogs
    pkgs.git
    pkgs.gptfdisk
    pkgs.jq
    pkgs.mtools
    pkgs.nix
    pkgs.python3
    pkgs.util-linux
    pkgs.xfsprogs
    pkgs.xz
    pkgs.zstd
  ];
}
