# Every wrong argument is one message that names it, and no right one is refused.
{ pkgs, lib }:
let
  makeExt4Fs = import ../../../nix/make-ext4-fs.nix;
  check = import ../../../nix/check.nix { inherit lib; } "makeExt4Fs";
  # With what has no default.
  problems =
    arguments:
    (check (
      {
        inherit pkgs;
        storePaths = [ pkgs.hello ];
        volumeLabel = "ROOT";
      }
      // arguments
    )).problems;

  wrong = arguments: text: {
    expr = problems arguments;
    expected = [ "makeExt4Fs: ${text}" ];
  };
  right = arguments: {
    expr = problems arguments;
    expected = [ ];
  };
  device = fields: {
    entries."/dev/x" = {
      type = "character";
    }
    // fields;
  };
in
{
  # Recent nixpkgs evaluates the types of options that a configuration does not set.
  "every argument that is an option has a type of the module system" = {
    expr =
      let
        table = import ../../../nix/arguments.nix { inherit lib; };
        options = table.ofModule ++ table.ofOnePass ++ table.ofRoot ++ table.ofImages;
      in
      # A check calls those of the parts.
      lib.all (a: lib.isBool (a.type.option.check { })) options;
    expected = true;
  };
  "a label of 17 bytes" = wrong {
    volumeLabel = "SEVENTEEN-LETTERS";
  } ''volumeLabel: "SEVENTEEN-LETTERS" has 17 bytes; ext4 has room for 16'';
  "a label is counted in bytes" = wrong {
    volumeLabel = "ÄÖÜÄÖÜÄÖÜ";
  } ''volumeLabel: "ÄÖÜÄÖÜÄÖÜ" has 18 bytes; ext4 has room for 16'';
  "a label of 16 bytes" = right { volumeLabel = "SIXTEEN-LETTERS-"; };
  "no label" = right { volumeLabel = ""; };
  "a number as label" = wrong { volumeLabel = 7; } "volumeLabel: 7 is not a string";

  "a UUID that is too short" = wrong {
    uuid = "44444444-4444";
  } ''uuid: "44444444-4444" is not a UUID such as "44444444-4444-4444-8888-888888888888"'';
  "a UUID in capitals" = right { uuid = "14E19A7B-0AE0-484D-9D54-43BD6FDC20C7"; };
  "mke2fs' word for a random UUID" = wrong {
    uuid = "random";
  } ''uuid: "random" is not a UUID such as "44444444-4444-4444-8888-888888888888"'';

  "a size in a unit of its own" = wrong {
    freeSpace = "16M";
  } ''freeSpace: "16M" is not a size; write whole bytes or a string such as "16MiB"'';
  "a negative size" = wrong {
    freeSpace = -1;
  } ''freeSpace: -1 is not a size; write whole bytes or a string such as "16MiB"'';
  "a size in bytes" = right { freeSpace = 1048576; };
  "a size in bytes, as a string" = right { freeSpace = "1048576"; };
  "a string as count" = wrong {
    freeInodes = "many";
  } ''freeInodes: "many" is not a whole number of at least 0'';
  "no reserve for growth" = right { growTo = null; };
  "a boolean as size" = wrong {
    growTo = true;
  } ''growTo: true is not a size; write whole bytes or a string such as "16MiB"'';

  "a level that zstd has not" = wrong {
    compressionLevel = 23;
  } "compressionLevel: 23 is not a level of zstd, 1 to 22";
  "layers that are no list" =
    wrong { layers = pkgs.hello; }
      "layers: a set is not a list of lists; a layer is a list of store paths, as in [ [ pkgs.linux-firmware ] [ system ] ]";
  "a single layer that is not in a list" =
    wrong { layers = [ pkgs.hello ]; }
      "layers: a set is not a list; a layer is a list of store paths, as in [ [ pkgs.linux-firmware ] [ system ] ]";
  "a layer of a string without context" =
    wrong { layers = [ [ "/nix/store/00000000000000000000000000000000-x" ] ]; }
      ''layers: "/nix/store/00000000000000000000000000000000-x" is a bare string, of which Nix does not know that it is a store path; give the derivation, or builtins.storePath'';
  "layers without frames" =
    wrong {
      layers = [ [ pkgs.hello ] ];
      frames = false;
    } "layers: an image uses layers by its frames, and frames is false; leave one of the two out";
  "layers with a plan without frames" =
    wrong {
      layers = [ [ pkgs.hello ] ];
      plan.output.compression.format = "zstd";
    }
      "layers: an image uses layers by its frames, and plan.output.compression does not ask for them; set frames = true there, too";
  "a word for frames" = wrong { frames = "yes"; } ''frames: "yes" is not true or false'';
  "layers" = right {
    layers = [
      [
        pkgs.hello
        "${pkgs.hello}"
      ]
      [ ]
    ];
    frames = true;
    plan.output.compression = {
      format = "zstd";
      frames = true;
      seekable = true;
    };
  };
  "no frames" = right { frames = false; };
  "layers of an image whose plan compresses nothing" = right {
    layers = [ [ pkgs.hello ] ];
    plan.output.compression = null;
  };
  "a level that gzip has not" = wrong {
    compressionFormat = "gzip";
    compressionLevel = 19;
  } "compressionFormat: compressionLevel is at most 9 with gzip";
  "an unknown compression" = wrong {
    compressionFormat = "bzip2";
  } ''compressionFormat: "bzip2" is not one of zstd, gzip, xz'';
  "a sealed file system with free space" = wrong {
    seal = true;
    freeSpace = "1MiB";
  } "seal: a sealed file system is as small as its contents, and freeSpace is given; leave one of the two out";
  "a sealed file system without" = right {
    seal = true;
    freeSpace = 0;
    growTo = null;
  };
  "a word where only true or false is possible" = wrong {
    deduplicate = "yes";
  } ''deduplicate: "yes" is not true or false'';
  "a word for whether to look again" = wrong {
    verifyOutput = "yes";
  } ''verifyOutput: "yes" is not true or false'';
  "an unknown way to verify" = wrong {
    verify = "sha256";
  } ''verify: "sha256" is not one of none, size, hash'';
  "a word for a boolean" = wrong {
    keepReferences = "yes";
  } ''keepReferences: "yes" is not true or false'';
  "null for a boolean" = wrong { compressImage = null; } "compressImage: null is not true or false";
  "commands as a list" = wrong {
    populateImageCommands = [ "true" ];
  } "populateImageCommands: a list is not a string";

  "a misspelt argument" = wrong {
    freespace = 1;
  } "unknown argument freespace; did you mean freeSpace?";
  "letters that changed places" = wrong {
    vloumeLabel = "X";
  } "unknown argument vloumeLabel; did you mean volumeLabel?";
  "an unknown argument" = wrong { extraSpace = 1; } (
    "unknown argument extraSpace; known are "
    + lib.concatStringsSep ", " (lib.attrNames (lib.functionArgs makeExt4Fs))
  );

  "a store path without context" =
    wrong { storePaths = [ "/nix/store/00000000000000000000000000000000-x" ]; }
      ''storePaths: "/nix/store/00000000000000000000000000000000-x" is a bare string, of which Nix does not know that it is a store path; give the derivation, or builtins.storePath'';
  "a number as store path" = wrong {
    storePaths = [ 7 ];
  } "storePaths: 7 is not a derivation or a store path";
  "one derivation" = right { storePaths = pkgs.hello; };
  "a string with context" = right { storePaths = [ "${pkgs.hello}" ]; };
  "no store path" = right { storePaths = [ ]; };

  "entries as a list" = wrong { entries = [ ]; } "entries: a list is not a set of paths";
  "a relative path" =
    wrong { entries."etc/x".type = "directory"; }
      ''entries: "etc/x": the path must be absolute, with no empty part, ".", ".." or part of more than 255 bytes'';
  "a path with a parent in it" =
    wrong { attributes."/a/../b".uid = 1; }
      ''attributes: "/a/../b": the path must be absolute, with no empty part, ".", ".." or part of more than 255 bytes'';
  "the root" = right { attributes."/".mode = "0700"; };
  "an entry without type" = wrong {
    entries."/x" = { };
  } ''entries: "/x": it has no type; the types are block, character, directory, fifo, file, fstab, symlink'';
  "an entry of an unknown type" = wrong {
    entries."/x".type = "socket";
  } ''entries: "/x": "socket" is not one of block, character, directory, fifo, file, fstab, symlink'';
  "a file with nothing in it" = wrong {
    entries."/x".type = "file";
  } ''entries: "/x": a file has one of text, source and slot'';
  "a file with two contents" = wrong {
    entries."/x" = {
      type = "file";
      text = "";
      source = ./default.nix;
    };
  } ''entries: "/x": a file has one of text, source and slot'';
  "a slot" = right {
    entries."/x" = {
      type = "file";
      slot = "4KiB";
    };
  };
  "a slot without a size" = wrong {
    entries."/x" = {
      type = "file";
      slot = true;
    };
  } ''entries: "/x": slot: true is not a size; write whole bytes or a string such as "16MiB"'';
  "a symlink without target" = wrong {
    entries."/x".type = "symlink";
  } ''entries: "/x": a symlink needs target'';
  "a device without numbers" = wrong (device {
    major = 5;
  }) ''entries: "/dev/x": a character needs minor'';
  "a mode as number" = wrong (device {
    major = 5;
    minor = 1;
    mode = 600;
  }) ''entries: "/dev/x": mode: 600 is not a mode; write an octal string such as "0644"'';
  "an unknown field of an entry" = wrong {
    entries."/x" = {
      type = "fifo";
      owner = 0;
    };
  } ''entries: "/x": unknown field owner; known are gid, mode, type, uid, xattrs'';
  "entries of every type" = right {
    entries = {
      "/a" = {
        type = "file";
        text = "x";
        mode = "0600";
        uid = 1;
        gid = 2;
        xattrs."user.x" = "eA==";
      };
      "/b" = {
        type = "file";
        source = pkgs.hello;
      };
      "/c".type = "directory";
      "/d" = {
        type = "symlink";
        target = "/a";
      };
      "/e" = {
        type = "block";
        major = 8;
        minor = 0;
      };
      "/f".type = "fifo";
    };
  };

  "a misspelt field of an entry" = wrong (device {
    major = 5;
    minor = 1;
    modes = "0600";
  }) ''entries: "/dev/x": unknown field modes; did you mean mode?'';
  "an unknown attribute" = wrong {
    attributes."/x".owner = 0;
  } ''attributes: "/x": unknown field owner; known are gid, mode, recursive, uid, xattrs'';
  "attributes" = right {
    attributes."/home/pi" = {
      uid = 1000;
      gid = 100;
      mode = "0700";
      recursive = true;
    };
  };

  "a tree without source" = wrong { trees = [ { target = "/"; } ]; } "trees: it has no source";
  "a single tree" = wrong { trees = ./.; } "trees: a path is not a list of folders";
  "trees" = right {
    trees = [
      { source = ./.; }
      {
        source = pkgs.hello;
        target = "/opt/hello";
        owner = "keep";
        times = "keep";
        xattrs = [ "user.*" ];
      }
    ];
  };

  "a misspelt section of the plan" = wrong {
    plan.fileSystem.label = "x";
  } "plan: unknown section fileSystem; did you mean filesystem?";
  "an unknown section of the plan" =
    wrong { plan.image.label = "x"; }
      "plan: unknown section image; known are attributes, boot, closure, disk, entries, filesystem, output, selinux, trees, variants, version";
  "a program that is none" = wrong { snugfs = "snugfs"; } ''snugfs: "snugfs" is not a derivation'';

  "arguments without a default" = {
    expr = (check { inherit pkgs; }).problems;
    expected = [
      "makeExt4Fs: storePaths: missing; it has no default"
      "makeExt4Fs: volumeLabel: missing; it has no default"
    ];
  };
  "the defaults of every function pass its checks" = {
    expr = lib.concatMap (
      name:
      lib.concatMap (
        argument: if argument ? default then argument.type.check argument.default else [ ]
      ) (import ../../../nix/arguments.nix { inherit lib; }).${name}
    ) (lib.attrNames (import ../../../nix/functions.nix));
    expected = [ ];
  };
  "several at once" = {
    expr = lib.length (problems {
      uuid = "x";
      volumeLabel = 1;
      verify = "no";
    });
    expected = 3;
  };
}
