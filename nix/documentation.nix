# The tables of docs/nix.md, made from arguments.nix: the text of the page in, the page with its tables out. Each table
# lies between the comments `<!-- NAME, made from nix/arguments.nix -->` and `<!-- end -->`.
# tests/tools/nix-docs calls it.
{ lib }:
page:
let
  table = import ./arguments.nix { inherit lib; };

  # A value as an expression, on one line.
  show =
    value:
    if lib.isAttrs value then
      assert value == { };
      "{ }"
    else if lib.isList value then
      assert value == [ ];
      "[ ]"
    else
      builtins.toJSON value;
  defaultOf =
    argument:
    argument.defaultText or (if argument ? default then "`${show argument.default}`" else "");
  textOf = argument: argument.text + lib.optionalString (argument ? more) " ${argument.more}";

  row = cells: "|${lib.concatMapStrings (cell: if cell == "" then " |" else " ${cell} |") cells}\n";
  names = list: lib.concatMapStringsSep ", " (argument: "`${argument.name}`") list;
  rowOf =
    list:
    let
      first = lib.head list;
    in
    row [
      (names list)
      first.type.name
      (defaultOf first)
      (textOf first)
    ];
  # Neighbours that differ in their name only have one row.
  nameless = argument: rowOf [ (argument // { name = ""; }) ];
  together = lib.foldl' (
    rows: argument:
    if rows != [ ] && nameless (lib.head (lib.last rows)) == nameless argument then
      lib.genList (lib.elemAt rows) (lib.length rows - 1) ++ [ (lib.last rows ++ [ argument ]) ]
    else
      rows ++ [ [ argument ] ]
  ) [ ];
  tableOf =
    what: list:
    row [
      what
      "type"
      "default"
      ""
    ]
    + "|---|---|---|---|\n"
    + lib.concatMapStrings rowOf (together list);
  # Arguments that are described elsewhere.
  rowOfNames =
    list: text:
    row [
      (names list)
      ""
      ""
      text
    ];
  nameIsIn = list: argument: lib.elem argument.name (map (a: a.name) list);
  ofDisk =
    name:
    tableOf "argument" (lib.filter (a: !(nameIsIn table.shared a)) table.${name})
    + rowOfNames (lib.filter (a: !(nameIsIn table.fromCaller a)) table.shared) "As for `makeExt4Fs`, of the root and of the whole image.";

  tables = {
    makeExt4Fs = tableOf "argument" table.makeExt4Fs;
    makeSdImage = ofDisk "makeSdImage";
    makeDiskImage = ofDisk "makeDiskImage";
    makeNixosDisk =
      let
        # Whose default is another one.
        isOwn = a: a.name == "nixDatabase" || !(nameIsIn table.shared a);
        isShared = a: !(isOwn a) && !(nameIsIn table.fromCaller a);
      in
      tableOf "argument" (lib.filter isOwn table.makeNixosDisk)
      + rowOfNames (lib.filter isShared table.makeNixosDisk) "As for `makeExt4Fs`, of the root and of the whole image.";
    images =
      tableOf "option" (lib.filter (a: !(nameIsIn table.shared a)) table.ofImages)
      + rowOfNames (lib.filter (nameIsIn table.shared) table.ofImages) "The arguments of `makeExt4Fs` with these names.";
    options =
      tableOf "option" table.ofModule
      + rowOfNames table.ofOnePass "The arguments of `makeSdImage` with these names. They need `onePass`."
      + rowOfNames table.ofRoot "The arguments of `makeExt4Fs` with these names. They may refer to derivations.";
  };

  end = "<!-- end -->";
  replaced =
    text: name:
    let
      start = "<!-- ${name}, made from nix/arguments.nix -->\n";
      parts = lib.splitString start text;
      behind = lib.splitString end (lib.last parts);
    in
    if lib.length parts != 2 then
      throw "docs/nix.md: the comment ${start} must be there exactly once"
    else
      lib.head parts
      + start
      + tables.${name}
      + lib.concatMapStrings (part: end + part) (lib.tail behind);
in
lib.foldl' replaced page (lib.attrNames tables)
