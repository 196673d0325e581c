# Formats of disk images by the names that nixpkgs' make-disk-image.nix has for them, and some more: the fields of the
# plan's output, and the ending of the file's name.
{
  raw = {
    output = { };
    extension = "img";
  };
  qcow2 = {
    output.format = "qcow2";
    extension = "qcow2";
  };
  vdi = {
    output.format = "vdi";
    extension = "vdi";
  };
  vpc = {
    output.format = "vhd";
    extension = "vhd";
  };
  vpc-fixed = {
    output.format = "vhd-fixed";
    extension = "vhd";
  };
  vmdk = {
    output.format = "vmdk";
    extension = "vmdk";
  };
  tar = {
    output.format = "tar";
    extension = "raw.tar";
  };
}
