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
  text =
    default:
    mkOption {
      type = types.str;
      inherit default;
    };
in
{
  imports = [
    ./boot.nix
    ./image/images.nix
  ];
  options = {
    warnings = mkOption {
      type = types.listOf types.str;
      default = [ ];
    };
    system.build = mkOption { type = types.lazyAttrsOf types.raw; };
    system.stateVersion = mkOption { type = types.str; };
    system.nixos = {
      distroName = text "NixOS";
      label = text "25.11.stand-in";
      version = text "25.11.stand-in";
      versionSuffix = text ".stand-in";
      tags = mkOption {
        type = types.listOf types.str;
        default = [ ];
      };
    };
    fileSystems = mkOption {
      type = types.lazyAttrsOf types.anything;
      default = { };
    };
    ids = mkOption {
      type = types.anything;
      default = {
        uids.root = 0;
        gids.root = 0;
        gids.nixbld = 30000;
        gids.users = 100;
      };
    };
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
}
