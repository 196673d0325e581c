# A module system just large enough for `imports`, `options`, `config`, mkIf, mkMerge and priorities. Every option is
# checked, and an option that nobody declared is an error.
lib:
let
  inherit (builtins)
    all
    any
    attrNames
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    head
    isAttrs
    isBool
    isFunction
    isInt
    isList
    isPath
    isString
    length
    mapAttrs
    match
    toJSON
    ;

  mkType = name: check: merge: { inherit name check merge; };
  # All definitions must agree.
  same =
    loc: values:
    if all (v: v == head values) values then
      head values
    else
      throw "The option `${loc}' has conflicting definition values";
  only =
    loc: values:
    if length values == 1 then head values else throw "The option `${loc}' is defined multiple times";
  deep = foldl' (
    a: b:
    a
    // mapAttrs (
      n: v:
      if isAttrs v && isAttrs (a.${n} or null) && !(v ? type) then
        deep [
          a.${n}
          v
        ]
      else
        v
    ) b
  ) { };

  types = {
    anything = mkType "anything" (_: true) (
      loc: values: if all isAttrs values then deep values else same loc values
    );
    unspecified = mkType "unspecified value" (_: true) only;
    raw = mkType "raw value" (_: true) only;
    bool = mkType "boolean" isBool same;
    int = mkType "signed integer" isInt same;
    str = mkType "string" isString same;
    lines = mkType "strings concatenated with \"\\n\"" isString (_: concatStringsSep "\n");
    package = mkType "package" lib.isDerivation only;
    path = mkType "absolute path" (v: isPath v || (isString v && lib.hasPrefix "/" v)) only;
    attrs = mkType "attribute set" isAttrs (_: foldl' (a: b: a // b) { });
    ints = {
      unsigned = mkType "unsigned integer" (v: isInt v && v >= 0) same;
      between =
        low: high:
        mkType "integer between ${toString low} and ${toString high}" (
          v: isInt v && v >= low && v <= high
        ) same;
    };
    strMatching =
      pattern: mkType "string matching ${pattern}" (v: isString v && match pattern v != null) same;
    enum = values: mkType "one of ${toJSON values}" (v: elem v values) same;
    nullOr = type: mkType "null or ${type.name}" (v: v == null || type.check v) same;
    either = a: b: mkType "${a.name} or ${b.name}" (v: a.check v || b.check v) only;
    oneOf = list: foldl' types.either (head list) (builtins.tail list);
    listOf =
      type: mkType "list of ${type.name}" (v: isList v && all type.check v) (_: builtins.concatLists);
    # A module for another evaluation.
    deferredModule = mkType "module" (_: true) (_loc: imports: { inherit imports; });
    # Each attribute is defined by itself, with its own priorities.
    lazyAttrsOf = type: mkType "lazy attribute set" isAttrs only // { ofEach = type; };
    attrsOf =
      type:
      mkType "attribute set of ${type.name}" (v: isAttrs v && all (n: type.check v.${n}) (attrNames v)) (
        _: deep
      );
  };

  # A definition with its priority, mkIf and mkMerge undone.
  discharge =
    priority: value:
    if value._type or null == "if" then
      lib.optionals value.condition (discharge priority value.content)
    else if value._type or null == "merge" then
      concatMap (discharge priority) value.contents
    else if value._type or null == "override" then
      discharge value.priority value.content
    else
      [ { inherit priority value; } ];

  # mkIf, mkMerge and mkOverride around a set, moved to what is in it.
  spread =
    value:
    if value._type or null == "if" then
      map (mapAttrs (_: lib.mkIf value.condition)) (spread value.content)
    else if value._type or null == "merge" then
      concatMap spread value.contents
    else if value._type or null == "override" then
      map (mapAttrs (_: lib.mkOverride value.priority)) (spread value.content)
    else
      [ value ];

  evalModules =
    {
      modules,
      specialArgs ? { },
    }:
    let
      extendModules =
        more:
        evalModules {
          modules = modules ++ more.modules;
          inherit specialArgs;
        };
      arguments = specialArgs // {
        inherit
          config
          extendModules
          options
          lib
          ;
      };
      load =
        module:
        let
          value = if isPath module || isString module then import module else module;
          set = if isFunction value then value arguments else value;
          file = [
            (set._file or (if isPath module || isString module then toString module else "<unknown-file>"))
          ];
          declared =
            option:
            if option._type or null == "option" then
              option // { declarations = file; }
            else
              mapAttrs (_: declared) option;
        in
        concatMap load (set.imports or [ ])
        ++ [
          {
            options = mapAttrs (_: declared) (set.options or { });
            config = if set ? options || set ? config then set.config or { } else removeAttrs set [
              "_file"
              "imports"
            ];
          }
        ];
      loaded = concatMap load modules;

      join =
        a: b:
        a
        // mapAttrs (
          n: v:
          if !(a ? ${n}) then
            v
          # Declared twice, of which each declares something else.
          else if v._type or null == "option" then
            a.${n} // v // { declarations = a.${n}.declarations ++ v.declarations; }
          else
            join a.${n} v
        ) b;
      declaredOptions = foldl' join { } (map (m: m.options) loaded);
      options = seen declaredOptions (map (m: m.config) loaded);

      evaluate =
        path: declared: definitions:
        let
          sets = concatMap spread definitions;
          unknown = filter (n: !(declared ? ${n})) (concatMap attrNames sets);
          below = n: concatMap (set: lib.optional (set ? ${n}) set.${n}) sets;
        in
        if unknown != [ ] then
          throw "The option `${concatStringsSep "." (path ++ [ (head unknown) ])}' does not exist"
        else
          mapAttrs (
            n: option:
            if option.type.ofEach or null != null then
              (option.apply or (v: v)) (each (path ++ [ n ]) option (concatMap spread (below n)))
            else if option._type or null == "option" then
              value (concatStringsSep "." (path ++ [ n ])) option (below n)
            else
              evaluate (path ++ [ n ]) option (below n)
          ) declared;

      each =
        path: option: sets:
        mapAttrs (
          n: _:
          value (concatStringsSep "." (path ++ [ n ])) { type = option.type.ofEach; } (
            concatMap (set: lib.optional (set ? ${n}) set.${n}) sets
          )
        ) (foldl' (a: b: a // b) { } sets);

      definitionsOf =
        option: definitions:
        concatMap (discharge 100) definitions
        ++ lib.optional (option ? default) {
          priority = 1500;
          value = option.default;
        };
      bestOf = foldl' (low: d: if d.priority < low then d.priority else low) 9999;
      # The options with what they were given at.
      seen =
        declared: definitions:
        let
          sets = concatMap spread definitions;
          below = n: concatMap (set: lib.optional (set ? ${n}) set.${n}) sets;
        in
        mapAttrs (
          n: option:
          if option._type or null == "option" then
            option // { highestPrio = bestOf (definitionsOf option (below n)); }
          else
            seen option (below n)
        ) declared;

      value =
        loc: option: definitions:
        let
          given = definitionsOf option definitions;
          best = bestOf given;
          values = map (d: d.value) (filter (d: d.priority == best) given);
        in
        if values == [ ] then
          throw "The option `${loc}' was accessed but has no value defined"
        else if any (v: !option.type.check v) values then
          throw "A definition for option `${loc}' is not of type `${option.type.name}'"
        else
          (option.apply or (v: v)) (option.type.merge loc values);

      config = evaluate [ ] declaredOptions (map (m: m.config) loaded);
    in
    {
      inherit config extendModules options;
    };
in
{
  inherit types evalModules;
  mkOption = option: { _type = "option"; } // option;
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkDefault = lib.mkOverride 1000;
  mkForce = lib.mkOverride 50;
  literalExpression = text: {
    _type = "literalExpression";
    inherit text;
  };
}
