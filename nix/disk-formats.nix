# Formats of disk images by the names that nixpkgs' make-disk-image.nix has for them, and some more: the fields of the
# plan's output, the ending of the file's name, and the number of bytes of which the length of the disk must be a multiple.
{
  raw = {
    output = { };
    extension = "img";
  };
  qcow2 = {
    output.format = "qcow2";
    extension = "qcow2";
  };
  # As qemu-img's option -c compresses it.
  qcow2-compressed = {
    output = {
      format = "qcow2";
      compression = {
        format = "deflate";
        level = 6;
      };
    };
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
    roundTo = 1024 * 1024;
  };
  vhdx = {
    output.format = "vhdx";
    extension = "vhdx";
  };
  # With the disk controller that qemu-img chooses.
  vmdk-sparse = {
    output = {
      format = "vmdk-sparse";
      adapter = "ide";
    };
    extension = "vmdk";
  };
  vmdk = {
    output = {
      format = "vmdk";
      adapter = "ide";
    };
    extension = "vmdk";
  };
  tar = {
    output.format = "tar";
    extension = "raw.tar";
    # As Google Compute Engine wants it.
    roundTo = 1024 * 1024 * 1024;
  };
}
