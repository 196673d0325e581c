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
    pkgs.mtools
    pkgs.nix
    pkgs.util-linux
    pkgs.zstd
  ];
}
