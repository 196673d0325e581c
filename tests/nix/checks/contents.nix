# What commands, entries, attributes and trees put into the image is there, with its owner, mode and time.
{
  pkgs,
  makeExt4Fs,
  ...
}:
let
  tree = pkgs.runCommand "tree" { } ''
    mkdir -p "$out/inner"
    echo tree > "$out/inner/.hidden"
  '';
  image = makeExt4Fs {
    storePaths = [ pkgs.hello ];
    volumeLabel = "CONTENTS";
    populateImageCommands = ''
      mkdir -p ./files/boot ./files/home/pi
      echo "written for $(basename "$img")" > ./files/boot/config
      chmod 0600 ./files/boot/config
      echo dot > ./files/.profile
      echo own > ./files/home/pi/.bashrc
      # A comment at the end must not swallow what follows'';
    entries = {
      "/dev/console" = {
        type = "character";
        major = 5;
        minor = 1;
        mode = "0600";
      };
      "/etc/hostname" = {
        type = "file";
        text = "board\n";
      };
      "/sbin/hello" = {
        type = "file";
        source = "${pkgs.hello}/bin/hello";
        mode = "4755";
      };
      "/bin" = {
        type = "symlink";
        target = "/sbin";
      };
      "/var/empty" = {
        type = "directory";
        mode = "0555";
      };
    };
    attributes."/home/pi" = {
      uid = 1000;
      gid = 100;
      recursive = true;
    };
    trees = [
      {
        source = tree;
        target = "/srv";
      }
    ];
  };
in
pkgs.runCommand "check-contents" { nativeBuildInputs = [ pkgs.e2fsprogs ]; } ''
  img=${image}
  see() { debugfs -R "$1" "$img" 2>/dev/null; }
  # kind, mode, owner and group of a path
  is() {
    see "stat $1" | tr -s ' ' > stat
    grep -q "Type: $2 Mode: $3 " stat && grep -q "User: $4 Group: $5 " stat || { echo "$1:"; cat stat; exit 1; }
  }
  text() { test "$(see "cat $1")" = "$2" || { echo "$1 holds: $(see "cat $1")"; exit 1; }; }

  is / directory 0755 0 0
  is /lost+found directory 0700 0 0
  is /nix-path-registration regular 0444 0 0
  is ${builtins.storeDir} directory 0755 0 0
  is ${pkgs.hello}/bin/hello regular 0555 0 0
  is ${pkgs.hello}/share/numbers regular 0444 0 0
  see 'stat ${pkgs.hello}' > stat
  grep -q 'mtime: 0x00000001:00000000 ' stat

  is /boot directory 0755 0 0
  is /boot/config regular 0600 0 0
  text /boot/config "written for $(basename "$img")"
  text /.profile dot
  is /home/pi directory 0755 1000 100
  is /home/pi/.bashrc regular 0644 1000 100

  is /dev/console 'character special' 0600 0 0
  text /etc/hostname board
  is /sbin/hello regular 04755 0 0
  is /bin symlink 0777 0 0
  is /var/empty directory 0555 0 0
  text /srv/inner/.hidden tree
  touch "$out"
''
