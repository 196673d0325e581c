# A function that takes the arguments of arguments.nix under its name. It checks them, fills in the defaults and calls
# `make`. It can be called after a plain import and by callPackage, which asks it for the names of its arguments.
{
  name,
  # { self; given; arguments; } -> the result. `self` is the function, `given` what the caller gave, `arguments` that and
  # all defaults.
  make,
}:
let
  self = {
    # Names and whether there is a default need no lib, which comes with the arguments only.
    __functionArgs = builtins.listToAttrs (
      map (argument: {
        inherit (argument) name;
        value = argument ? default || argument ? defaultOf;
      }) (import ./arguments.nix { lib = throw "not needed for names"; }).${name}
    );
    __functor =
      self: given:
      let
        lib = given.lib or given.pkgs.lib or (throw "${name}: pkgs: missing; give it, or use callPackage");
        checked = import ./check.nix { inherit lib; } name given;
      in
      if checked.problems == [ ] then
        make {
          inherit self given;
          inherit (checked) arguments;
        }
      else
        throw (lib.concatStringsSep "\n" checked.problems);
  };
in
self
