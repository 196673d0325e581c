{ config, pkgs, ... }:
{
  imports = [ ./virtualbox-image.nix ];
  config.system.build.image = config.system.build.vagrantVirtualbox;
  config.system.build.vagrantVirtualbox = pkgs.runCommand "virtualbox-vagrant.box" { } ''
    cp ${config.system.build.virtualBoxOVA}/*.ova "$out"
  '';
}
