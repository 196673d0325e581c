# The arguments of a function of arguments.nix with their defaults, and what is wrong with those that were given, one
# line for each problem. What only the closure and the files can show is checked by the program.
{ lib }:
name: given:
let
  inherit (builtins) attrNames concatMap;
  inherit (import ./values.nix { inherit lib; }) andThen unknown;

  table = (import ./arguments.nix { inherit lib; }).${name};
  known = lib.listToAttrs (map (argument: lib.nameValuePair argument.name argument) table);

  misspelt = attrNames (removeAttrs given (attrNames known));
  missing = lib.filter (
    argument: !(argument ? default || argument ? defaultOf || given ? ${argument.name})
  ) table;

  arguments =
    lib.mapAttrs (_name: argument: argument.default or (argument.defaultOf arguments)) (
      lib.filterAttrs (_name: argument: argument ? default || argument ? defaultOf) known
    )
    // given;

  wrong =
    argument:
    andThen (argument.type.check arguments.${argument.name}) (
      # A rule may look at any argument.
      lib.optionals (missing == [ ] && argument ? rules) (argument.rules { inherit given arguments; })
    );
in
{
  inherit arguments;
  problems =
    map (text: "${name}: ${text}") (map (unknown "argument" (attrNames known)) misspelt)
    ++ map (argument: "${name}: ${argument.name}: missing; it has no default") missing
    ++ concatMap (argument: map (text: "${name}: ${argument.name}: ${text}") (wrong argument)) (
      lib.filter (argument: arguments ? ${argument.name}) table
    );
}
