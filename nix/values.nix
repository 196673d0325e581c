# What is wrong with a value: checks that give a list of texts, empty where it is right.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatMap
    elem
    elemAt
    isAttrs
    isBool
    isInt
    isList
    isPath
    isString
    match
    stringLength
    ;

  show =
    value:
    if isString value then
      builtins.toJSON (
        if stringLength value > 60 then
          builtins.substring 0 57 value + "..."
        else
          builtins.unsafeDiscardStringContext value
      )
    else if isInt value || isBool value || value == null then
      builtins.toJSON value
    else
      "a ${builtins.typeOf value}";
  no = condition: text: lib.optional (!condition) text;
  # The second check may rely on the first.
  andThen = first: second: if first == [ ] then second else first;
  all = list: lib.concatStringsSep ", " list;

  is =
    what: test: value:
    no (test value) "${show value} is not ${what}";
  aBool = is "true or false" isBool;
  aString = is "a string" isString;
  aCount = is "a whole number of at least 0" (v: isInt v && v >= 0);
  aSize = is ''a size; write whole bytes or a string such as "16MiB"'' (
    v: isInt v && v >= 0 || isString v && match "[0-9]+(KiB|MiB|GiB|TiB)?" v != null
  );
  # As numfmt --from=iec reads them, which nixpkgs' make-disk-image.nix calls.
  anIecSize = is ''a size; write whole bytes or a string such as "512M"'' (
    v: isInt v && v >= 0 || isString v && match "(0|[1-9][0-9]*)[KMGT]?" v != null
  );
  aMode = is ''a mode; write an octal string such as "0644"'' (
    v: isString v && match "[0-7]{1,4}" v != null
  );
  aSource = is "a path, a derivation or a string" (v: isPath v || isString v || v ? outPath);
  oneOf = list: is "one of ${all list}" (v: isString v && elem v list);
  nullOr = check: value: if value == null then [ ] else check value;

  isDerivation = v: isAttrs v && v.type or null == "derivation";
  aStorePath =
    v:
    if isString v then
      no (builtins.hasContext v) "${show v} is a bare string, of which Nix does not know that it is a store path; give the derivation, or builtins.storePath"
    else
      is "a derivation or a store path" (v: isPath v || isDerivation v || isAttrs v && v ? outPath) v;

  anImagePath =
    path:
    let
      parts = lib.tail (lib.splitString "/" path);
    in
    no (
      lib.hasPrefix "/" path
      && (path == "/" || lib.all (p: p != "" && p != "." && p != ".." && stringLength p < 256) parts)
    ) ''the path must be absolute, with no empty part, ".", ".." or part of more than 255 bytes'';

  # A name that does not exist: the one that was meant if it is near, else all that exist.
  unknown =
    what: known: name:
    let
      steps = other: edits (lib.toLower name) (lib.toLower other);
      limit = min 3 (max 1 (stringLength name / 3));
      near = builtins.sort (a: b: steps a < steps b) (lib.filter (other: steps other <= limit) known);
    in
    "unknown ${what} ${name}; "
    + (if near == [ ] then "known are ${all known}" else "did you mean ${lib.head near}?");
  # How many letters must be added, removed or replaced to get from one word to another. Row by row: how many from the
  # letters of `a` so far to each beginning of `b`.
  edits =
    a: b:
    let
      letters = lib.stringToCharacters b;
      next =
        row: letter:
        lib.foldl' (
          done: n:
          done
          ++ [
            (min (min (lib.last done + 1) (elemAt row (n + 1) + 1)) (
              elemAt row n + (if elemAt letters n == letter then 0 else 1)
            ))
          ]
        ) [ (lib.head row + 1) ] (lib.genList (n: n) (lib.length letters));
    in
    lib.last (
      lib.foldl' next (lib.genList (n: n) (lib.length letters + 1)) (lib.stringToCharacters a)
    );
  min = a: b: if a < b then a else b;
  max = a: b: if a > b then a else b;

  # A set of which each field has its check.
  aSet =
    fields: value:
    andThen (is "a set" isAttrs value) (
      concatMap (
        name:
        if fields ? ${name} then
          map (text: "${name}: ${text}") (fields.${name} value.${name})
        else
          [ (unknown "field" (attrNames fields) name) ]
      ) (attrNames value)
    );

  metadata = {
    mode = aMode;
    uid = aCount;
    gid = aCount;
    xattrs =
      value: andThen (is "a set" isAttrs value) (concatMap (n: aString value.${n}) (attrNames value));
  };
  entryFields = {
    file = {
      text = aString;
      source = aSource;
      slot = aSize;
    };
    directory = { };
    symlink.target = aString;
    character = device;
    block = device;
    fifo = { };
    fstab.by = oneOf [
      "label"
      "partuuid"
      "uuid"
    ];
  };
  device = {
    major = aCount;
    minor = aCount;
  };
  anEntry =
    value:
    andThen (is "a set" isAttrs value) (
      andThen (no (value ? type) "it has no type; the types are ${all (attrNames entryFields)}") (
        andThen (oneOf (attrNames entryFields) value.type) (
          let
            fields = entryFields.${value.type};
            optional = lib.optionalAttrs (value.type == "file") { holes = oneOf holes; };
            missing = lib.filter (n: !(value ? ${n})) (attrNames fields);
          in
          aSet (metadata // fields // optional // { type = _: [ ]; }) value
          ++ (
            if value.type == "file" then
              no (lib.length missing == 2) "a file has one of text, source and slot"
            else
              no (missing == [ ]) "a ${value.type} needs ${all missing}"
          )
        )
      )
    );

  byPath =
    check: value:
    andThen (is "a set of paths" isAttrs value) (
      concatMap (path: map (text: "${show path}: ${text}") (anImagePath path ++ check value.${path})) (
        attrNames value
      )
    );

  holes = [
    "fill"
    "keep"
  ];

  aTree =
    value:
    andThen (is "a set with source and target" isAttrs value) (
      no (value ? source) "it has no source"
      ++ aSet {
        source = aSource;
        target = anImagePath;
        owner = nullOr (oneOf [
          "keep"
          "root"
        ]);
        times = nullOr (oneOf [
          "keep"
          "plan"
        ]);
        xattrs = nullOr (is "a list of names" (v: isList v && lib.all isString v));
        holes = oneOf holes;
        oneFileSystem = nullOr aBool;
        kind = nullOr (oneOf [
          "folder"
          "oci"
          "tar"
        ]);
        image = nullOr aString;
        platform = nullOr aString;
        overlap = oneOf [
          "error"
          "later-wins"
        ];
        exclude = is "a list of patterns" (v: isList v && lib.all isString v);
        ociConfigTarget = nullOr anImagePath;
      } value
    );

  eachOf =
    what: check: value:
    andThen (is "a list of ${what}" isList value) (concatMap check value);
in
{
  inherit
    aBool
    aCount
    aMode
    aSet
    aSize
    aSource
    aStorePath
    aString
    aTree
    all
    anIecSize
    anEntry
    andThen
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
}
