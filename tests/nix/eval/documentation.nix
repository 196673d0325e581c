# The tables of docs/nix.md are those of nix/arguments.nix.
{ lib, ... }:
let
  make = import ../../../nix/documentation.nix { inherit lib; };
  page = builtins.readFile ../../../docs/nix.md;
in
{
  "the tables of docs/nix.md" = {
    expr = if make page == page then "current" else "outdated: run tests/tools/nix-docs --write";
    expected = "current";
  };
  "a table that somebody changed is made again" = {
    expr =
      make (builtins.replaceStrings [ "| `seal` | boolean | `false` |" ] [ "| `seal` | string | |" ] page)
      == make page;
    expected = true;
  };
  "a page without a table's place is refused" = {
    expr = (builtins.tryEval (make (builtins.replaceStrings [ "<!-- options," ] [ "<!-- option," ] page))).success;
    expected = false;
  };
}
