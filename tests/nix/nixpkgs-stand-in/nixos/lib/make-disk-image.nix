# Stands for nixpkgs' function of this name: a derivation with the commands that run around its virtual machine. It
# makes no image.
{
  pkgs,
  name ? "nixos-disk-image",
  postVM ? "",
  format ? "raw",
  baseName ? "nixos",
  ...
}:
pkgs.mkDerivation {
  inherit name;
  preVM = "true";
  postVM = ''
    mv $diskImage $out/${baseName}.img
    diskImage=$out/${baseName}.img
    mkdir -p $out/nix-support
    echo "file ${format}-image $diskImage" >> $out/nix-support/hydra-build-products
    ${postVM}
  '';
  buildCommand = "echo 'there is no virtual machine here' >&2; exit 1";
}
