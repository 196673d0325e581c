# From the arguments to the program's plan, and what is wrong with them: pure, so that tests evaluate it alone. Whatever
# can be said before a build is said here; the rest (what the closure and the files hold, how a disk is laid out) is the
# program's. -> { problems = [ one line each ]; plan = { … }; }
{ lib }:
{
  # What the caller called, for messages.
  function ? "makeExt4Fs",
  # Names of its arguments, and the arguments as they came.
  known,
  given,
  # What is wrong with arguments that only this function has, by their names: lists of texts.
  alsoWrong ? { },
  # The plan's section of this name, where the image is a disk.
  disk ? null,
  # Whether the result is a folder, where more than the image has its place.
  inFolder ? false,

  # The arguments of makeExt4Fs.
  storePaths,
  compressImage,
  populateImageCommands,
  volumeLabel,
  uuid,
  freeSpace,
  freeInodes,
  growTo,
  seal,
  entries,
  attributes,
  trees,
  compressionLevel,
  verify,
  deduplicate,
  nixDatabase,
  verifyOutput,
  keepReferences,
  plan,
  snugfs,
}:
let
  inherit (builtins)
    attrNames
    concatMap
    isAttrs
    isInt
    isString
    match
    stringLength
    ;
  inherit (import ./values.nix { inherit lib; })
    aBool
    aCount
    aSet
    aSize
    aStorePath
    aString
    aTree
    all
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
    ;

  # --- the arguments ---

  wrong = {
    storePaths = lib.concatMap aStorePath (lib.toList storePaths);
    compressImage = aBool compressImage;
    populateImageCommands = aString populateImageCommands;
    volumeLabel = andThen (aString volumeLabel) (
      no (
        stringLength volumeLabel <= 16
      ) "${show volumeLabel} has ${toString (stringLength volumeLabel)} bytes; ext4 has room for 16"
    );
    uuid = is ''a UUID such as "44444444-4444-4444-8888-888888888888"'' (
      v: isString v && match "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}" v != null
    ) uuid;
    freeSpace = aSize freeSpace;
    freeInodes = aCount freeInodes;
    growTo = nullOr aSize growTo;
    seal = andThen (aBool seal) (
      concatMap (
        name:
        no (
          !seal || given.${name} or null == null || given.${name} == 0
        ) "a sealed file system is as small as its contents, and ${name} is given; leave one of the two out"
      ) promises
    );
    entries = byPath anEntry entries;
    attributes = byPath (aSet (metadata // { recursive = aBool; })) attributes;
    trees = eachOf "folders" aTree trees;
    compressionLevel = is "a level of zstd, 1 to 22" (v: isInt v && v >= 1 && v <= 22) compressionLevel;
    verify = oneOf [
      "none"
      "size"
      "hash"
    ] verify;
    deduplicate = aBool deduplicate;
    nixDatabase = aBool nixDatabase;
    verifyOutput = aBool verifyOutput;
    keepReferences = aBool keepReferences;
    plan = andThen (is "a set" isAttrs plan) (
      concatMap (
        n: no (generated ? ${n}) "unknown section ${n}; known are ${all (attrNames generated)}"
      ) (attrNames plan)
      ++ no (
        inFolder || !(plan.output.bmap or false)
      ) "output.bmap asks for a file beside the image, and this result is a single file; set directory of makeSdImage or makeDiskImage"
    );
    snugfs = nullOr (is "a derivation" isDerivation) snugfs;
  }
  // alsoWrong;

  # What a sealed file system has nothing of.
  promises = [
    "freeSpace"
    "freeInodes"
    "growTo"
  ];

  unknown = attrNames (removeAttrs given (attrNames known));

  # --- the plan ---

  generated = {
    version = 1;
    closure = {
      # The key of the structured attributes under which Nix writes the graph.
      graph = "closure";
      storeDir = builtins.storeDir;
      sourceDir = builtins.storeDir;
      inherit verify deduplicate nixDatabase;
    };
    trees = [
      {
        source = "files";
        target = "/";
      }
    ]
    ++ trees;
    inherit entries attributes;
    filesystem = {
      label = volumeLabel;
      inherit uuid;
    }
    // (
      if seal then
        { inherit seal; }
      else
        {
          inherit freeSpace freeInodes growTo;
        }
    );
    # Null is the bare file system.
    inherit disk;
    output = {
      compression =
        if compressImage then
          {
            format = "zstd";
            level = compressionLevel;
          }
        else
          null;
      verify = verifyOutput;
    };
  };
in
{
  problems =
    map (name: "${function}: unknown argument ${name}; known are ${all (attrNames known)}") unknown
    ++ concatMap (name: map (text: "${function}: ${name}: ${text}") wrong.${name}) (attrNames wrong);

  # One level deep: whole values are replaced below the sections' fields, so that two kinds of entry never mix.
  plan =
    generated
    // lib.mapAttrs (
      name: value:
      if isAttrs value && isAttrs (generated.${name} or null) then generated.${name} // value else value
    ) plan;
}
