# All ways in which the old function is called give the same derivation, and its names are kept.
{ pkgs, lib }:
let
  file = ../../../nix/make-ext4-fs.nix;
  arguments = {
    storePaths = [ pkgs.hello ];
    volumeLabel = "NIXOS_SD";
  };
  called = pkgs.callPackage file arguments;
  is = image: {
    expr = image.drvPath;
    expected = called.drvPath;
  };
  project = import ../../.. { inherit pkgs; };
in
{
  "plain import, as it was with cptofs" = is (
    import file (
      arguments
      // {
        inherit pkgs;
        inherit (pkgs) e2fsprogs libfaketime perl;
        lkl = null;
      }
    )
  );
  "plain import, as it is with fakeroot" = is (
    import file (
      arguments
      // {
        inherit pkgs lib;
        inherit (pkgs)
          e2fsprogs
          fakeroot
          libfaketime
          perl
          zstd
          ;
      }
    )
  );
  "one derivation in place of a list" = is (
    pkgs.callPackage file (arguments // { storePaths = pkgs.hello; })
  );
  "a string in place of a derivation" = is (
    pkgs.callPackage file (arguments // { storePaths = [ "${pkgs.hello}" ]; })
  );
  "the default UUID, given" = is (
    pkgs.callPackage file (arguments // { uuid = "44444444-4444-4444-8888-888888888888"; })
  );
  "default.nix" = is (project.makeExt4Fs arguments);

  "name" = {
    expr = called.name;
    expected = "ext4-fs.img";
  };
  "name where compressed" = {
    expr = (pkgs.callPackage file (arguments // { compressImage = true; })).name;
    expected = "ext4-fs.img.zst";
  };
  "the variants" = {
    expr = [
      called.compressed.name
      called.compressed.uncompressed.drvPath
      called.uncompressed.drvPath
    ];
    expected = [
      "ext4-fs.img.zst"
      called.drvPath
      called.drvPath
    ];
  };
  "override" = {
    expr = (called.override { volumeLabel = "OTHER"; }).plan.filesystem.label;
    expected = "OTHER";
  };
  "overrideAttrs" = {
    expr =
      (called.overrideAttrs (_old: {
        name = "renamed.img";
      })).name;
    expected = "renamed.img";
  };
  "it can be flashed, as it was changed" = {
    expr =
      let
        changed = called.overrideAttrs (_old: {
          name = "renamed.img";
        });
        script = image: builtins.unsafeDiscardStringContext image.flash.text;
      in
      [
        (lib.hasInfix "snugfs flash ${builtins.unsafeDiscardStringContext "${called}"} " (script called))
        (lib.hasInfix "snugfs flash ${builtins.unsafeDiscardStringContext "${changed}"} " (script changed))
        called.flash.meta.mainProgram
      ];
    expected = [
      true
      true
      "snugfs-flash"
    ];
  };
  "commands of any length are no argument of a process" = {
    expr =
      (pkgs.callPackage file (
        arguments
        // {
          populateImageCommands = lib.concatStringsSep "\n" (lib.genList (n: "echo ${toString n}") 20000);
        }
      )).name;
    expected = "ext4-fs.img";
  };
  "references are dropped" = {
    expr = called.unsafeDiscardReferences;
    expected.out = true;
  };
  "references are kept on request, and Nix 2.14 to 2.17 see no name that they refuse" = {
    expr = (pkgs.callPackage file (arguments // { keepReferences = true; })) ? unsafeDiscardReferences;
    expected = false;
  };
}
