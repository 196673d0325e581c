# Every argument of makeExt4Fs, makeSdImage, makeDiskImage and makeNixosDisk, and every option of the module. Three
# things are made from this table: what the functions accept (function.nix), the module's options (options.nix) and the
# tables of docs/nix.md (documentation.nix; tests/tools/nix-docs --write).
#
# An argument is a set:
#   name, type   the type is one of types.nix
#   default      without one the argument must be given
#   defaultOf    in place of it, where the default depends on others: a function of all arguments; docs show defaultText
#   text         what it is for: Markdown without links, for the module too
#   more         what the docs add, with links
#   rules        what other arguments forbid: { given; arguments; } -> list of texts
#   example      for the option; or exampleText, an expression
{ lib }:
let
  types = import ./types.nix { inherit lib; };
  inherit (import ./values.nix { inherit lib; }) no;
  inherit (types) orNull words;
  compression = import ./compression.nix { inherit lib; };
  verityOf = import ./verity.nix { inherit lib; };
  nixos = {
    boot = import ./nixos-boot.nix { inherit lib; };
    contents = import ./nixos-contents.nix { inherit lib; };
    iec = import ./iec.nix { inherit lib; };
    layout = import ./nixos-layout.nix { inherit lib; };
  };

  # --- of all three functions ---

  storePaths = {
    name = "storePaths";
    type = types.storePaths;
    text = "Store paths. The image contains their closure, and its registration as `/nix-path-registration`.";
    more = "A string must have context: a derivation, `\"\${pkgs.hello}\"`, `builtins.storePath …`. `[ ]` gives an image without store paths.";
  };
  volumeLabel = {
    name = "volumeLabel";
    type = types.label;
    text = "Name of the file system, at most 16 bytes.";
  };
  uuid = {
    name = "uuid";
    type = types.uuid;
    default = "44444444-4444-4444-8888-888888888888";
    text = "UUID of the file system. Directory hashes start from it too, instead of from a random number.";
  };
  compressImage = {
    name = "compressImage";
    type = types.boolean;
    default = false;
    text = "Whether the result is compressed. This adds `.zst` (or `.gz`, `.xz`, by `compressionFormat`) to its name.";
  };
  compressionFormat = {
    name = "compressionFormat";
    type = words [
      "zstd"
      "gzip"
      "xz"
    ];
    default = "zstd";
    text = "Format of the compression, if the image is compressed.";
    rules =
      { arguments, ... }:
      let
        inherit (arguments) compressionFormat compressionLevel;
        inherit (compression.of compressionFormat) highest;
      in
      no (
        compressionFormat == "zstd" || !(builtins.isInt compressionLevel) || compressionLevel <= highest
      ) "compressionLevel is at most ${toString highest} with ${compressionFormat}";
  };
  populateRootCommands = {
    name = "populateRootCommands";
    type = types.string;
    default = "";
    text = "Shell commands that fill `./files`. Its contents, dotfiles included, are copied to the root of the file system.";
    more = "Owners and set-id bits [must be declared](#owners-set-id-bits-devices).";
  };

  # What nobody writes to has nothing of these.
  growing = [
    {
      name = "freeSpace";
      type = types.size;
      default = "32MiB";
      example = "256MiB";
      text = "Free space for files. Linux keeps some of it for itself until the file system is grown: 2 % of the image, at most 16 MiB.";
      more = "Some sizes leave up to about 2 MiB more than this ([ADR 0006](adr/0006-last-group.md)).";
    }
    {
      name = "freeInodes";
      type = types.count;
      default = 1024;
      text = "How many files can be added before the file system is grown, at least. There is always one inode for every 16 KiB.";
      more = "The plan can change that: `plan.filesystem.bytesPerInode`.";
    }
    {
      name = "growTo";
      type = orNull types.size;
      default = "1TiB";
      text = "Up to this size the file system can grow while it is mounted, with its features unchanged. `null` reserves nothing for that.";
    }
  ];
  seal = {
    name = "seal";
    type = types.boolean;
    default = false;
    text = "Whether the file system is read-only for good: as small as its contents, and Linux will only mount it read-only. Leave out `freeSpace`, `freeInodes` and `growTo` then.";
    more = "See [sealed file systems](plan-format.md#sealed-file-systems).";
    rules =
      { given, arguments }:
      builtins.concatMap (
        { name, ... }:
        no (
          !arguments.seal || given.${name} or null == null || given.${name} == 0
        ) "a sealed file system is as small as its contents, and ${name} is given; leave one of the two out"
      ) growing;
  };
  # With the rules of the function that has it.
  verity = {
    name = "verity";
    type = types.boolean;
    default = false;
    text = "Whether the root has a hash tree of dm-verity, so that the kernel checks each block that it reads. The root is sealed, and the tree is the last partition, of the type `root-ARCH-verity`. Needs a GPT.";
    more = "See [verified roots](#verified-roots).";
  };
  contents = [
    {
      name = "entries";
      type = types.entries;
      default = { };
      example."/dev/console" = {
        type = "character";
        major = 5;
        minor = 1;
        mode = "0600";
      };
      text = "Single files, directories, symlinks and device nodes by their path in the image.";
      more = "Their fields: [below](#owners-set-id-bits-devices).";
    }
    {
      name = "attributes";
      type = types.attributes;
      default = { };
      example."/home/pi" = {
        uid = 1000;
        gid = 100;
        mode = "0700";
        recursive = true;
      };
      text = "Owner, mode and extended attributes by path. They replace what the file has otherwise. The build sandbox forbids `chown` and set-id bits, so set these here.";
    }
    {
      name = "trees";
      type = types.trees;
      default = [ ];
      exampleText = ''[ { source = ./overlay; target = "/"; } ]'';
      text = "Folders that are copied into the image, besides `./files`: `{ source; target; }`, and `owner`, `times`, `xattrs` to keep what is normally dropped.";
    }
  ];
  building = [
    {
      name = "compressionLevel";
      type = orNull types.compressionLevel;
      default = null;
      text = "Level of the compression, if the image is compressed: 1 to 22 with zstd, 1 to 9 with gzip and xz. Null: 3 with zstd, 6 with the others.";
    }
    {
      name = "layers";
      type = types.layers;
      default = [ ];
      exampleText = "[ [ config.hardware.firmware config.system.modulesTree ] [ config.system.path ] ]";
      text = "Lists of store paths. Each list's closure is compressed in a derivation of its own, and the image takes it from there. When something else changes, Nix need not compress it again.";
      more = "See [layers](#layers).";
      rules =
        { arguments, ... }:
        let
          compression = arguments.plan.output.compression or null;
        in
        lib.optionals (arguments.layers != [ ]) (
          no (
            arguments.frames != false
          ) "an image uses layers by its frames, and frames is false; leave one of the two out"
          ++ no (
            compression == null || compression.frames or false == true
          ) "an image uses layers by its frames, and plan.output.compression does not ask for them; set frames = true there, too"
        );
    }
    {
      name = "frames";
      type = orNull types.boolean;
      default = null;
      text = "Whether each large store path is compressed by itself, so that layers, caches and other images can have the same compressed bytes. Null: whether `layers` are given.";
      more = "The image becomes a little larger; see [how to build again in a fraction of the time](how-to/rebuild.md).";
      rules =
        { arguments, ... }:
        no (
          arguments.compressionFormat == "zstd" || arguments.frames != true && arguments.layers == [ ]
        ) "only zstd has frames, and compressionFormat is ${arguments.compressionFormat}; leave out frames and layers, or compress with zstd";
    }
    {
      name = "layoutLike";
      type = orNull types.source;
      default = null;
      exampleText = "./last.layout.zst";
      text = "The record of an earlier image's layout: its `layout`, or a copy of that file. The new image keeps inode numbers and blocks where they were, so that an update changes little.";
      more = "See [stable layouts](plan-format.md#stable-layouts).";
    }
    {
      name = "verify";
      type = words [
        "none"
        "size"
        "hash"
      ];
      default = "size";
      text = "What of each store path is compared with Nix' database. `\"hash\"` reads and hashes everything, and finds a damaged store.";
    }
    {
      name = "deduplicate";
      type = types.boolean;
      default = false;
      text = "Whether equal files of the store become hard links, as `nix-store --optimise` makes them.";
    }
    {
      name = "nixDatabase";
      type = types.boolean;
      default = false;
      text = "Whether the image contains Nix' database of its closure. Nix then knows its store before the first boot loads the registration.";
      more = "See [Nix's database](plan-format.md#nixs-database).";
    }
    {
      name = "verifyOutput";
      type = types.boolean;
      default = false;
      text = "Whether the finished image is read again, checked and compared with the plan. The build fails if anything is wrong.";
      more = "See [verify.md](verify.md).";
    }
    {
      name = "keepReferences";
      type = types.boolean;
      default = false;
      text = "Whether Nix searches the image for store paths, so that the image keeps its closure alive. In a compressed image Nix finds none.";
    }
    {
      name = "plan";
      type = types.plan;
      default = { };
      example.filesystem.reservedPercent = 0;
      text = "Takes precedence over the generated plan, field by field of each section: `{ filesystem.reservedPercent = 0; }`.";
      more = "Every field of [plan-format.md](plan-format.md) is possible. A field is replaced whole: `plan.trees = [ … ]` leaves `./files` out. An unknown section is refused at evaluation, an unknown field by the build.";
      rules =
        { arguments, ... }:
        no (
          arguments.directory or null != null || !(arguments.plan.output.bmap or false)
        ) "output.bmap asks for a file beside the image, and this result is a single file; set directory of makeSdImage or makeDiskImage";
    }
  ];
  snugfs = {
    name = "snugfs";
    type = orNull types.package;
    default = null;
    text = "The program, for the machine that builds. Null: that of `pkgs.buildPackages`.";
  };
  # As callPackage gives them.
  fromCaller = map (a: a // { text = "Passed by `callPackage`."; type = types.any; }) [
    { name = "pkgs"; }
    {
      name = "lib";
      defaultOf = { pkgs, ... }: pkgs.lib;
      defaultText = "";
    }
  ];
  shared = [
    compressImage
    compressionFormat
  ]
  ++ growing ++ [ seal ] ++ contents ++ building ++ [ snugfs ] ++ fromCaller;

  # --- of makeExt4Fs ---

  # nixpkgs' make-ext4-fs.nix takes them.
  ignored =
    map
      (name: {
        inherit name;
        type = types.any;
        default = null;
        text = "Accepted so that calls of nixpkgs' function need no change; ignored.";
      })
      [
        "e2fsprogs"
        "fakeroot"
        "libfaketime"
        "lkl"
        "perl"
        "zstd"
      ];

  # --- of disks ---

  fileOfDisk =
    imageName:
    [
      imageName
      {
        name = "directory";
        type = orNull types.fileName;
        default = null;
        text = "Null: the result is the image. A name such as `\"sd-image\"`: the result is a folder that contains `sd-image/NAME` and `nix-support`, as nixpkgs' SD images do.";
      }
      {
        name = "name";
        type = types.string;
        defaultOf =
          {
            imageName,
            compressImage,
            compressionFormat,
            ...
          }:
          imageName + lib.optionalString compressImage (compression.of compressionFormat).suffix;
        defaultText = "the image's";
        text = "Name of the derivation.";
      }
      {
        name = "postBuildCommands";
        type = types.string;
        default = "";
        text = "Shell commands that change the finished image `$img` before it is compressed. What `blobs` can do needs none.";
        rules =
          { arguments, ... }:
          let
            output = arguments.plan.output or { };
          in
          # What the program wrote beside the image, or around it, would not be true of the changed one.
          no (
            arguments.postBuildCommands == ""
            || !(
              output.bmap or false
              || !(builtins.elem (output.format or null) [
                null
                "raw"
              ])
              || output.compression.seekable or false
            )
          ) "they change an image of which output.bmap, output.format or output.compression.seekable asks for another form; give what they write as blobs"
          # zstd compresses what they changed, as a whole.
          ++ no (
            arguments.postBuildCommands == ""
            || !(arguments.frames == true || arguments.layers != [ ] || output.compression.frames or false)
          ) "the image that they changed is compressed without frames and layers, which are given; give what they write as blobs, or leave out frames and layers";
      }
    ];
  imageName = {
    name = "imageName";
    type = types.fileName;
    text = "File name of the image. Compression adds `.zst`, `.gz` or `.xz`.";
  };
  partitions = [
    {
      name = "partitionTable";
      type = words [
        "mbr"
        "gpt"
      ];
      default = "mbr";
      text = "The kind of partition table.";
    }
    {
      name = "blobs";
      type = types.blobs;
      default = [ ];
      exampleText = ''[ { source = "''${pkgs.ubootPine64}/u-boot-sunxi-with-spl.bin"; offset = "8KiB"; } ]'';
      text = "Bytes outside of the partitions, such as boot loaders that a chip reads from a fixed place: `{ source; offset; }`. One that overlaps the table or a partition is an error.";
    }
    {
      name = "extraPartitions";
      type = types.partitions;
      default = [ ];
      example = [
        {
          type = "83";
          size = "64MiB";
        }
      ];
      text = "Partitions between the firmware's and the root, as the plan has them.";
      more = "See [disk](plan-format.md#disk).";
    }
    {
      name = "firmwarePartition";
      type = types.partition;
      default = { };
      example.type = "0c";
      text = "Fields of the plan that the firmware partition gets besides its own, or in their place: `{ type = \"0c\"; }`.";
    }
    {
      name = "rootPartition";
      type = types.partition;
      default = { };
      example.size = "4GiB";
      text = "The same for the root partition: `{ size = \"4GiB\"; }`. The root file system fills a partition with a `size`.";
    }
  ];
in
{
  makeExt4Fs = [
    storePaths
    volumeLabel
    uuid
    (populateRootCommands // { name = "populateImageCommands"; })
  ]
  ++ shared
  ++ ignored;

  # Named like the options of nixpkgs' sd-image.nix.
  makeSdImage = [
    storePaths
    populateRootCommands
    (
      volumeLabel
      // {
        name = "rootVolumeLabel";
        default = "NIXOS_SD";
        text = "Name of the root file system, at most 16 bytes.";
      }
    )
    {
      name = "rootPartitionUUID";
      type = orNull uuid.type;
      default = null;
      text = "UUID of the root file system. Null: the default of `makeExt4Fs`.";
    }
    {
      name = "populateFirmwareCommands";
      type = types.string;
      default = "";
      text = "Shell commands that fill `./firmware`, which is copied into the FAT partition.";
    }
    {
      name = "firmwarePartitionOffset";
      type = types.count;
      default = 8;
      text = "The gap in front of the first partition, in MiB.";
    }
    {
      name = "firmwareSize";
      type = types.count;
      default = 30;
      text = "Length of the FAT partition in MiB; 0 for none. By its length it is FAT16 or FAT32, as `mkfs.vfat` would choose.";
    }
    {
      name = "firmwarePartitionID";
      type = types.number32;
      default = "0x2178694e";
      text = "Serial number of the FAT file system, and with an MBR the disk's identifier.";
    }
    {
      name = "firmwarePartitionName";
      type = types.fatLabel;
      default = "FIRMWARE";
      text = "Name of the FAT file system: at most 11 bytes, no lower case.";
    }
  ]
  ++ partitions
  ++ [
    {
      name = "imageBaseName";
      type = types.string;
      default = "sd-image";
      text = "File name of the image without its ending.";
    }
  ]
  ++ fileOfDisk (
    imageName
    // {
      defaultOf = { imageBaseName, ... }: "${imageBaseName}.img";
      defaultText = "`\"\${imageBaseName}.img\"`";
    }
  )
  ++ shared;

  makeDiskImage = [
    {
      name = "disk";
      type = types.disk;
      text = "The section `disk` of the plan. Each `source` in it is a store path, or what `populateCommands` makes.";
      more = "See [disk](plan-format.md#disk).";
    }
    {
      name = "populateCommands";
      type = types.string;
      default = "";
      text = "Shell commands that make, in the build's folder, what the plan names.";
    }
    {
      name = "closures";
      type = types.closures;
      default = { };
      text = "Store paths for further ext4 partitions, by the name in their `closure.graph`.";
    }
    (storePaths // { default = [ ]; })
    (
      volumeLabel
      // {
        default = "";
        text = "Name of the root file system, at most 16 bytes.";
      }
    )
    (
      uuid
      // {
        text = "UUID of the root file system. Identifiers that the table does not set are derived from it.";
      }
    )
    populateRootCommands
    (
      verity
      // {
        rules =
          { given, arguments }:
          lib.optionals (arguments.verity == true) (
            verityOf.problems (if builtins.isAttrs arguments.disk then arguments.disk else { })
            ++ verityOf.leftOut {
              inherit given;
              names = map (a: a.name) growing;
            }
          );
      }
    )
  ]
  ++ fileOfDisk (imageName // { default = "disk.img"; })
  ++ shared;

  # nixpkgs' make-disk-image.nix takes all of these but the last ones.
  makeNixosDisk =
    let
      inherit (nixos) layout;
      ofLoader =
        arguments:
        nixos.boot {
          inherit (arguments) config;
          partitionTableType = toString arguments.partitionTableType;
        };
      ofNixpkgs =
        text: name:
        {
          inherit name text;
          type = types.any;
          default = null;
        };
    in
    [
      {
        name = "config";
        type = types.configuration;
        text = "The configuration of the system on the disk: `nixosConfigurations.NAME.config`.";
        rules =
          { arguments, ... }:
          lib.optionals (arguments.installBootLoader == true) (ofLoader arguments).problems;
      }
      {
        name = "diskSize";
        type = types.diskSize;
        default = "auto";
        text = "Length of the disk in MiB, as a number or a string. `\"auto\"`: as long as the contents and `additionalSpace` need.";
        rules =
          { arguments, ... }:
          let
            least = layout.least {
              partitionTableType = toString arguments.partitionTableType;
              bootEnd = layout.bootEnd (nixos.iec arguments.bootSize);
            };
            size =
              if builtins.isInt arguments.diskSize then
                arguments.diskSize
              else
                builtins.fromJSON arguments.diskSize;
          in
          no (
            # A wrong size of the boot partition has a message of its own.
            arguments.diskSize == "auto" || types.iecSize.check arguments.bootSize != [ ] || size >= least
          ) "a disk of ${toString arguments.diskSize} MiB has no room for the root; choose at least ${toString least}, and what the contents need";
      }
      {
        name = "additionalSpace";
        type = types.iecSize;
        default = "512M";
        text = "Free space of the root if `diskSize` is `\"auto\"`: whole bytes, or a string with `K`, `M`, `G` or `T`.";
      }
      {
        name = "bootSize";
        type = types.iecSize;
        default = "256M";
        text = "Where the boot partition ends, rounded up to the next MiB. `\"256M\"` ends at 257 MiB.";
      }
      {
        name = "contents";
        type = types.imageContents;
        default = [ ];
        text = "Files and folders for the root: `{ source; target; mode; user; group; }`. A `*` in `source` stands for several files, and `target` is their folder then. `mode` is an octal string.";
        more = "Users and groups need a number: see [NixOS disks](#nixos-disks).";
        rules = { arguments, ... }: nixos.contents.problems arguments.config arguments.contents;
      }
      {
        name = "partitionTableType";
        type = words [
          "legacy"
          "legacy+boot"
          "legacy+gpt"
          "efi"
          "efixbootldr"
          "hybrid"
          "none"
        ];
        default = "legacy";
        text = "The partitions.";
        more = "See [the table](#nixos-disks).";
      }
      {
        name = "installBootLoader";
        type = types.boolean;
        default = true;
        text = "Whether the disk has the boot loader of the configuration: systemd-boot, GRUB or extlinux.";
      }
      {
        name = "touchEFIVars";
        type = types.boolean;
        default = false;
        text = "Only `false`.";
        rules =
          { arguments, ... }:
          no (
            !arguments.touchEFIVars
          ) "the variables of EFI are written by a firmware that runs; set it to false, and let the firmware find the boot loader by its name (systemd-boot is always found, GRUB with boot.loader.grub.efiInstallAsRemovable)";
      }
      {
        name = "fsType";
        type = types.string;
        default = "ext4";
        text = "Only `\"ext4\"`.";
        rules =
          { arguments, ... }:
          no (
            arguments.fsType == "ext4"
          ) "snugfs writes roots with ext4, not with ${arguments.fsType}; choose ext4, or nixpkgs' make-disk-image.nix";
      }
      {
        name = "label";
        type = types.label;
        default = "nixos";
        text = volumeLabel.text;
      }
      {
        name = "configFile";
        type = orNull types.source;
        default = null;
        text = "A file that becomes `/etc/nixos/configuration.nix`.";
      }
      {
        name = "postVM";
        type = types.string;
        default = "";
        text = "Only `\"\"`.";
        rules =
          { arguments, ... }:
          no (
            arguments.postVM == ""
          ) "these commands run after a virtual machine, and there is none here; make a derivation of them that takes this image";
      }
      {
        name = "onlyNixStore";
        type = types.boolean;
        default = false;
        text = "Only `false`.";
        rules =
          { arguments, ... }:
          no (
            !arguments.onlyNixStore
          ) "an image whose root is the store's directory cannot be made; make a whole root with makeExt4Fs and mount its nix/store";
      }
      {
        name = "name";
        type = types.string;
        default = "nixos-disk-image";
        text = "Name of the derivation.";
      }
      {
        name = "format";
        type = words (builtins.attrNames (import ./disk-formats.nix));
        default = "raw";
        text = "Format of the image. `vpc` is a dynamic VHD and `vpc-fixed` a fixed one; `vmdk` is compressed (`streamOptimized`) and `vmdk-sparse` is not (`monolithicSparse`); `tar` is an archive with the disk as `disk.raw`.";
        more = "See [containers](plan-format.md#containers).";
        rules =
          { arguments, ... }:
          no (
            arguments.format != "qcow2-compressed" || !arguments.compressImage
          ) "qcow2-compressed is compressed inside; set compressImage to false, or choose qcow2";
      }
      {
        name = "baseName";
        type = types.fileName;
        default = "nixos";
        text = "File name of the image without its ending.";
      }
      {
        name = "imageName";
        type = types.fileName;
        defaultOf =
          { baseName, format, ... }:
          let
            formats = import ./disk-formats.nix;
          in
          # A wrong format has a message of its own.
          "${toString baseName}.${(formats.${toString format} or formats.raw).extension}";
        defaultText = "by `baseName` and `format`";
        text = "File name of the image. Compression adds `.zst`, `.gz` or `.xz`.";
      }
      {
        name = "rootGPUID";
        type = types.uuid;
        default = "F222513B-DED1-49FA-B591-20CE86A2FE7F";
        text = "GUID of the root's partition, with `efi`, `efixbootldr` and `hybrid`.";
      }
      {
        name = "rootFSUID";
        type = orNull types.uuid;
        defaultOf = { rootGPUID, ... }: rootGPUID;
        defaultText = "`rootGPUID`";
        text = "UUID of the root file system. Null: `rootGPUID`. What the table does not set is derived from it.";
      }
      {
        name = "rootFSHashSeed";
        type = orNull types.uuid;
        default = null;
        text = "Null, or the same as `rootFSUID`.";
        rules =
          { arguments, ... }:
          let
            inherit (arguments) rootFSHashSeed rootFSUID rootGPUID;
            root = if rootFSUID == null then rootGPUID else rootFSUID;
          in
          no (
            rootFSHashSeed == null || lib.toLower rootFSHashSeed == lib.toLower root
          ) "directory hashes start from the UUID of the file system; leave it out, or set rootFSUID to it";
      }
      {
        name = "copyChannel";
        type = types.boolean;
        default = true;
        text = "Whether the image has nixpkgs as the channel of root.";
      }
      {
        name = "additionalPaths";
        type = types.storePaths;
        default = [ ];
        text = "More store paths for the image.";
      }
      (
        verity
        // {
          text = "${verity.text} Leave out `additionalSpace`, `freeInodes` and `growTo` then.";
          rules =
            { given, arguments }:
            lib.optionals (arguments.verity == true) (
              verityOf.leftOut {
                inherit given;
                names = [
                  "additionalSpace"
                  "freeInodes"
                  "growTo"
                ];
              }
              ++ layout.verityProblems (toString arguments.partitionTableType)
              ++ verityOf.configurationProblems {
                inherit (arguments) config;
                inherit (ofLoader arguments) kind;
                installBootLoader = arguments.installBootLoader == true;
              }
            );
        }
      )
      {
        name = "uki";
        type = orNull types.function;
        default = null;
        exampleText = "roothash: pkgs.runCommand …";
        text = "A function of `roothash`, a file with the root hash, that gives a unified kernel image: a derivation that is this file. The firmware starts it, as `/EFI/BOOT/BOOTX64.EFI` or the name of another processor. Needs `verity`.";
        more = "See [a unified kernel image](#a-unified-kernel-image).";
        rules =
          { arguments, ... }:
          lib.optionals (arguments.uki != null) (
            verityOf.ukiProblems {
              inherit (arguments) verity;
              inherit (ofLoader arguments) kind;
              installBootLoader = arguments.installBootLoader == true;
              hasEsp = lib.elem arguments.partitionTableType layout.withEsp;
            }
          );
      }
    ]
    ++ map (ofNixpkgs "Accepted so that calls of nixpkgs' function need no change; ignored. There is no virtual machine, and the image is always the same for the same inputs.") [
      "deterministic"
      "reproducible"
      "populateRootWith"
      "memSize"
      "OVMF"
      "efiFirmware"
      "efiVariables"
    ]
    ++ builtins.filter (a: a.name != "freeSpace") growing
    ++ [
      compressImage
      compressionFormat
    ]
    ++ contents
    ++ map (
      a:
      if a.name == "nixDatabase" then
        a
        // {
          default = true;
          text = "Whether the image contains Nix' database of its closure. Without it, Nix does not know the store of the machine.";
        }
      else
        a
    ) building
    ++ [
      snugfs
    ]
    ++ fromCaller;

  # All under sdImage.snugfs. What is not an argument:
  ofModule = [
    {
      name = "enable";
      type = types.boolean;
      default = true;
      text = "Whether snugfs makes the root file system of the SD image.";
    }
    {
      name = "onePass";
      type = types.boolean;
      default = false;
      text = "Whether snugfs makes the whole SD image, `system.build.sdImage`, in one derivation and without an image of the root in between. The options of `sdImage`, the image's path and its name are the same.";
      more = "See [whole SD images](#whole-sd-images).";
    }
    {
      name = "package";
      type = orNull types.package;
      default = null;
      text = "The program, for the machine that builds the image. Null: `pkgs.buildPackages.snugfs`, or where that is missing, the sources beside this module built with `pkgs`.";
      more = "The flake's module sets the flake's own program.";
    }
  ];
  # Arguments of makeSdImage only. Without onePass they have no effect.
  ofOnePass = map (a: a // { text = "${a.text} Needs `onePass`."; }) partitions;
  # Arguments of makeExt4Fs too. A sealed root could not be grown at the first boot, which nixpkgs does.
  ofRoot = map (
    a:
    if a.name == "compressionLevel" then
      a
      // {
        text = "${a.text} Without `onePass`, nixpkgs decompresses the root file system again on its way to the SD image, so a high level only costs time.";
      }
    else
      a
  ) (growing ++ contents ++ building);

  # All under image.snugfs, for the variants of image.modules.
  ofImages = [
    {
      name = "enable";
      type = types.boolean;
      default = true;
      text = "Whether snugfs makes the image variants that nixpkgs makes with `make-disk-image.nix`.";
    }
    {
      name = "package";
      type = orNull types.package;
      default = null;
      text = "The program, for the machine that builds the image. Null: `pkgs.buildPackages.snugfs`, or where that is missing, the sources beside this module built with `pkgs`.";
      more = "The flake's module sets the flake's own program.";
    }
  ]
  ++ builtins.filter (
    a:
    !(builtins.elem a.name [
      "freeSpace"
      "nixDatabase"
    ])
  ) (growing ++ contents ++ building);

  # For the docs, which describe these once.
  inherit shared fromCaller;
  defaultUUID = uuid.default;
}
