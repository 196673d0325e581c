# The functions that are for use outside, by the names that they have there.
{
  makeExt4Fs = ./make-ext4-fs.nix;
  makeSdImage = ./make-sd-image.nix;
  makeDiskImage = ./make-disk-image.nix;
  makeNixosDisk = ./make-nixos-disk.nix;
}
