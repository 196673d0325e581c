# Options of the module system, made from arguments of arguments.nix.
{ lib }:
arguments:
lib.listToAttrs (
  map (
    argument:
    lib.nameValuePair argument.name (
      lib.mkOption (
        {
          type = argument.type.option;
          inherit (argument) default;
          description = argument.text;
        }
        // lib.optionalAttrs (argument ? example) { inherit (argument) example; }
        // lib.optionalAttrs (argument ? exampleText) {
          example = lib.literalExpression argument.exampleText;
        }
      )
    )
  ) arguments
)
