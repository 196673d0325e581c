# Options that NixOS has and our tests' configurations set.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  anything = mkOption {
    type = types.anything;
    default = { };
  };
in
{
  options = {
    warnings = mkOption {
      type = types.listOf types.str;
      default = [ ];
    };
    system.build = mkOption { type = types.lazyAttrsOf types.raw; };
    system.stateVersion = mkOption { type = types.str; };
    networking = anything;
    services = anything;
    users = anything;
    nixpkgs = {
      hostPlatform = mkOption {
        type = types.str;
        default = "x86_64-linux";
      };
      buildPlatform = mkOption {
        type = types.str;
        default = config.nixpkgs.hostPlatform;
      };
      overlays = mkOption {
        type = types.listOf types.raw;
        default = [ ];
      };
    };
  };
  config.system.build.toplevel = pkgs.runCommand "nixos-system" { } ''
    mkdir "$out"
    ln -s ${pkgs.hello}/bin/hello "$out/init"
  '';
}
