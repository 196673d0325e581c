# `nix fmt`: every Nix and Rust file that git knows, or the ones that are named.
{ pkgs }:
pkgs.writeShellApplication {
  name = "snugfs-format";
  runtimeInputs = [
    pkgs.cargo
    pkgs.git
    pkgs.nixfmt
    pkgs.rustfmt
  ];
  text = ''
    if [ $# -gt 0 ]; then
      exec nixfmt "$@"
    fi
    git ls-files -z -- '*.nix' | xargs -0 nixfmt
    cargo fmt --all
  '';
}
