# Stands for an sd-image.nix whose first partition boots: it writes "type=b, bootable" for sfdisk.
{ }
