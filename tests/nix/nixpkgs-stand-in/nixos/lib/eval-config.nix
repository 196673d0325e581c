# nixosSystem: the modules beside the few options that a configuration in our tests sets.
{
  modules,
  system ? "x86_64-linux",
  pkgs ? null,
  specialArgs ? { },
}:
let
  lib = import ../../lib;
  evaluated = lib.evalModules {
    modules = modules ++ [ ../modules/base.nix ];
    specialArgs = specialArgs // {
      pkgs =
        if pkgs != null then
          pkgs
        else
          import ../.. {
            system = evaluated.config.nixpkgs.buildPlatform;
            crossSystem = evaluated.config.nixpkgs.hostPlatform;
            inherit (evaluated.config.nixpkgs) overlays;
          };
      modulesPath = toString ../modules;
    };
  };
in
evaluated
