# Types of arguments. A type is
#   name    as docs/nix.md shows it
#   check   value -> what is wrong with it, a list of texts
#   option  the same for the module system; missing where no option has the type
{ lib }:
let
  inherit (builtins)
    attrNames
    concatMap
    isAttrs
    isInt
    isList
    isString
    match
    stringLength
    ;
  inherit (import ./values.nix { inherit lib; })
    aBool
    aCount
    aSet
    aSize
    aSource
    aStorePath
    aString
    aTree
    anEntry
    andThen
    anIecSize
    byPath
    eachOf
    is
    isDerivation
    metadata
    no
    nullOr
    oneOf
    show
    unknown
    ;
  inherit (lib) types;

  # A string with room for so many bytes in a file system.
  shortString =
    fileSystem: bytes: value:
    andThen (aString value) (
      no (stringLength value <= bytes)
        "${show value} has ${toString (stringLength value)} bytes; ${fileSystem} has room for ${toString bytes}"
    );
  aPartition = is "a set, as the plan has partitions" isAttrs;
  sections = [
    "attributes"
    "boot"
    "closure"
    "disk"
    "entries"
    "filesystem"
    "output"
    "selinux"
    "trees"
    "variants"
    "version"
  ];
in
rec {
  any = {
    name = "";
    check = _value: [ ];
  };
  boolean = {
    name = "boolean";
    check = aBool;
    option = types.bool;
  };
  string = {
    name = "string";
    check = aString;
  };
  count = {
    name = "count";
    check = aCount;
    option = types.ints.unsigned;
  };
  size = {
    name = "size";
    check = aSize;
    option = types.either types.ints.unsigned (types.strMatching "[0-9]+(KiB|MiB|GiB|TiB)?");
  };
  orNull = type: {
    name = "${type.name} or null";
    check = nullOr type.check;
    option = types.nullOr type.option;
  };
  words = list: {
    name = lib.concatMapStringsSep ", " (word: ''`"${word}"`'') list;
    check = oneOf list;
    option = types.enum list;
  };

  storePaths = {
    name = "list of derivations or store paths, or a single one";
    check = value: concatMap aStorePath (lib.toList value);
  };
  layers = {
    name = "list of lists of derivations or store paths";
    check =
      let
        help = "a layer is a list of store paths, as in [ [ pkgs.linux-firmware ] [ system ] ]";
      in
      value:
      if isList value then
        concatMap (
          layer:
          if isList layer then
            concatMap aStorePath layer
          else
            [ "${show layer} is not a list; ${help}" ]
        ) value
      else
        [ "${show value} is not a list of lists; ${help}" ];
    option = types.listOf (types.listOf types.package);
  };
  closures = {
    name = "set of lists";
    check =
      value:
      andThen (is "a set" isAttrs value) (
        no (!(value ? closure)) "${show "closure"} is what storePaths are called; choose another name"
      );
  };
  label = {
    name = "string";
    check = shortString "ext4" 16;
  };
  fatLabel = {
    name = "string";
    check =
      value:
      andThen (shortString "FAT" 11 value) (
        # Linux does not find a FAT file system by a name in lower case.
        no (lib.toUpper value == value)
          "${show value} has lower case letters, which names of FAT file systems have not; write ${show (lib.toUpper value)}"
      );
  };
  uuid = {
    name = "string";
    check = is ''a UUID such as "44444444-4444-4444-8888-888888888888"'' (
      v: isString v && match "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}" v != null
    );
  };
  number32 = {
    name = "string";
    check = is ''a number of 32 bits such as "0x2178694e"'' (
      v: isString v && match "(0x)?[0-9a-fA-F]{1,8}" v != null
    );
  };
  fileName = {
    name = "string";
    check = is "a file name" (v: isString v && match "[0-9a-zA-Z+._?=-]+" v != null);
  };
  entries = {
    name = "set of sets";
    check = byPath anEntry;
    option = types.attrsOf types.attrs;
  };
  attributes = {
    name = "set of sets";
    check = byPath (aSet (metadata // { recursive = aBool; }));
    option = types.attrsOf types.attrs;
  };
  trees = {
    name = "list of sets";
    check = eachOf "folders" aTree;
    option = types.listOf types.attrs;
  };
  source = {
    name = "path, derivation or string";
    check = aSource;
    option = types.path;
  };
  configuration = {
    name = "set";
    check = is "the config of a NixOS configuration, such as nixosConfigurations.NAME.config" (
      v: isAttrs v && isAttrs (v.system or null) && v.system ? build
    );
  };
  # In MiB.
  diskSize = {
    name = ''"auto" or count'';
    check = is ''"auto" or a number of MiB'' (
      v: isInt v && v > 0 || isString v && match "auto|[1-9][0-9]*" v != null
    );
  };
  iecSize = {
    name = "size, as in `\"512M\"`";
    check = anIecSize;
  };
  # What nixpkgs' make-disk-image.nix calls contents.
  imageContents =
    let
      aTarget = is "a path in the image" (
        v: isString v && v != "" && lib.all (part: part != ".." && part != ".") (lib.splitString "/" v)
      );
      anOwner = is "a name or a number" (v: isInt v && v >= 0 || isString v && v != "");
      anOctalMode = is ''a mode that can be set here; write an octal string such as "755"'' (
        v: isString v && match "[0-7]{3,4}" v != null
      );
      fields = {
        source = aSource;
        target = aTarget;
        mode = nullOr anOctalMode;
        user = nullOr anOwner;
        group = nullOr anOwner;
      };
    in
    {
      name = "list of sets";
      check = eachOf "contents" (
        content:
        andThen (is "a set with source and target" (c: isAttrs c && c ? source && c ? target) content) (
          aSet fields content
          ++ no ((content.user or null == null) == (content.group or null == null))
            "set both user and group of a content, or neither"
        )
      );
    };
  compressionLevel = {
    name = "1 to 22";
    check = is "a level of zstd, 1 to 22" (v: isInt v && v >= 1 && v <= 22);
    option = types.ints.between 1 22;
  };
  blobs = {
    name = "list of sets";
    check = eachOf "blobs" (
      blob:
      andThen (is "a set with source and offset" (b: isAttrs b && b ? source && b ? offset) blob) (
        aSet {
          source = aSource;
          offset = aSize;
        } blob
      )
    );
    option = types.listOf types.attrs;
  };
  partition = {
    name = "set";
    check = aPartition;
    option = types.attrs;
  };
  partitions = {
    name = "list of sets";
    check = eachOf "partitions" aPartition;
    option = types.listOf types.attrs;
  };
  disk = {
    name = "set";
    check = is "a set" isAttrs;
  };
  plan = {
    name = "set";
    check =
      value:
      andThen (is "a set" isAttrs value) (
        map (unknown "section" sections) (lib.filter (name: !(lib.elem name sections)) (attrNames value))
      );
    option = types.attrsOf (types.either types.attrs types.unspecified);
  };
  function = {
    name = "function";
    check = is "a function" (v: builtins.isFunction v || isAttrs v && v ? __functor);
  };
  package = {
    name = "derivation";
    check = is "a derivation" isDerivation;
    option = types.package;
  };
}
