# The functions of nixpkgs' lib that this project and its tests use, written for the stand-in.
let
  inherit (builtins)
    attrNames
    concatMap
    filter
    foldl'
    intersectAttrs
    isAttrs
    isFunction
    isList
    isString
    listToAttrs
    replaceStrings
    stringLength
    substring
    ;

  # Values that can be called: functions, and sets with a __functor.
  callable = f: isFunction f || f ? __functor;
  argumentsOf =
    f:
    if f ? __functor then
      f.__functionArgs or (argumentsOf (f.__functor f))
    else
      builtins.functionArgs f;

  overridable =
    f: given:
    let
      result = f given;
      changed = change: given // (if isFunction change then change given else change);
    in
    if isAttrs result then
      result
      // {
        override = change: overridable f (changed change);
        overrideAttrs = change: overridable (args: (f args).overrideAttrs change) given;
      }
    else
      result;

  lib = {
    inherit (builtins)
      all
      any
      attrNames
      concatLists
      concatMap
      concatStringsSep
      elem
      elemAt
      filter
      foldl'
      head
      isAttrs
      isBool
      isInt
      isList
      isString
      length
      listToAttrs
      mapAttrs
      tail
      ;
    isFunction = callable;
    functionArgs = argumentsOf;
    setFunctionArgs = f: args: {
      __functor = _self: f;
      __functionArgs = args;
    };

    fix =
      f:
      let
        x = f x;
      in
      x;
    extends =
      overlay: f: final:
      let
        prev = f final;
      in
      prev // overlay final prev;
    composeManyExtensions = foldl' (
      first: second: final: prev:
      let
        change = first final prev;
      in
      change // second final (prev // change)
    ) (_final: _prev: { });

    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: list: if condition then list else [ ];
    optionalAttrs = condition: set: if condition then set else { };
    optionalString = condition: text: if condition then text else "";
    toList = value: if isList value then value else [ value ];
    isDerivation = value: value.type or null == "derivation";

    nameValuePair = name: value: { inherit name value; };
    genList = builtins.genList;
    last = list: builtins.elemAt list (builtins.length list - 1);
    imap0 = f: list: builtins.genList (n: f n (builtins.elemAt list n)) (builtins.length list);
    genAttrs =
      names: f:
      listToAttrs (
        map (name: {
          inherit name;
          value = f name;
        }) names
      );
    mapAttrs' = f: set: listToAttrs (map (name: f name set.${name}) (attrNames set));
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    filterAttrs = test: set: removeAttrs set (filter (name: !(test name set.${name})) (attrNames set));

    findFirst =
      test: default: list:
      let
        found = filter test list;
      in
      if found == [ ] then default else builtins.head found;
    unique = foldl' (all: value: if builtins.elem value all then all else all ++ [ value ]) [ ];
    recursiveUpdate =
      a: b:
      a
      // builtins.mapAttrs (
        name: value:
        if isAttrs value && isAttrs (a.${name} or null) then lib.recursiveUpdate a.${name} value else value
      ) b;

    attrByPath =
      path: default: set:
      if path == [ ] then
        set
      else if isAttrs set && set ? ${builtins.head path} then
        lib.attrByPath (builtins.tail path) default set.${builtins.head path}
      else
        default;
    hasAttrByPath = path: set: lib.attrByPath path null set != null;

    getName = package: package.pname or (builtins.parseDrvName package.name).name;
    getVersion = package: package.version or (builtins.parseDrvName package.name).version;
    cleanSource = source: builtins.path { path = source; name = "source"; };
    inherit (builtins) replaceStrings;

    attrValues = builtins.attrValues;
    concatStrings = builtins.concatStringsSep "";
    concatMapStrings = lib.concatMapStringsSep "";
    concatMapStringsSep =
      separator: f: list:
      builtins.concatStringsSep separator (map f list);
    hasInfix = infix: text: builtins.length (lib.splitString infix text) > 1;
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    hasSuffix =
      suffix: text:
      let
        rest = stringLength text - stringLength suffix;
      in
      rest >= 0 && substring rest (-1) text == suffix;
    removePrefix =
      prefix: text: if lib.hasPrefix prefix text then substring (stringLength prefix) (-1) text else text;
    removeSuffix =
      suffix: text:
      if lib.hasSuffix suffix text then
        substring 0 (stringLength text - stringLength suffix) text
      else
        text;
    splitString =
      separator: text:
      filter isString (builtins.split (replaceStrings [ "." "+" "*" "$" ] [ "[.]" "[+]" "[*]" "[$]" ] separator) text);
    upperChars = lib.stringToCharacters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    lowerChars = lib.stringToCharacters "abcdefghijklmnopqrstuvwxyz";
    toLower = replaceStrings lib.upperChars lib.lowerChars;
    toUpper = replaceStrings lib.lowerChars lib.upperChars;
    stringToCharacters = text: builtins.genList (n: substring n 1 text) (stringLength text);
    escapeShellArg = value: "'${replaceStrings [ "'" ] [ "'\\''" ] (toString value)}'";
    getExe = package: "${package}/bin/${package.meta.mainProgram}";

    callPackageWith =
      automatic: file: given:
      let
        f = if callable file then file else import file;
        wanted = argumentsOf f;
        arguments = intersectAttrs wanted automatic // given;
        missing = filter (name: !wanted.${name} && !(arguments ? ${name})) (attrNames wanted);
      in
      if missing == [ ] then
        overridable f arguments
      else
        throw "callPackage: missing argument ${builtins.concatStringsSep ", " missing}";

    licenses.mit.spdxId = "MIT";
    platforms.linux = [
      "x86_64-linux"
      "aarch64-linux"
    ];
  }
  // import ./modules.nix lib;
in
lib
