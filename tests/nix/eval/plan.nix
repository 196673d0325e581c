# The plan that the program gets.
{ pkgs, lib }:
let
  image =
    arguments:
    pkgs.callPackage ../../../nix/make-ext4-fs.nix (
      {
        storePaths = [ pkgs.hello ];
        volumeLabel = "ROOT";
      }
      // arguments
    );
  section = name: arguments: (image arguments).plan.${name};
in
{
  "the store is at the store directory of Nix" = {
    expr = section "closure" { };
    expected = {
      graph = "closure";
      storeDir = builtins.storeDir;
      sourceDir = builtins.storeDir;
      verify = "size";
      deduplicate = false;
      nixDatabase = false;
    };
  };
  "./files is laid over the root" = {
    expr = section "trees" { };
    expected = [
      {
        source = "files";
        target = "/";
      }
    ];
  };
  "trees come after ./files" = {
    expr = map (tree: tree.target) (
      section "trees" {
        trees = [
          {
            source = "more";
            target = "/srv";
          }
        ];
      }
    );
    expected = [
      "/"
      "/srv"
    ];
  };
  "a sealed file system promises nothing" = {
    expr = section "filesystem" { seal = true; };
    expected = {
      label = "ROOT";
      uuid = "44444444-4444-4444-8888-888888888888";
      seal = true;
    };
  };
  "the file system" = {
    expr = section "filesystem" {
      uuid = "14e19a7b-0ae0-484d-9d54-43bd6fdc20c7";
      freeSpace = 0;
      freeInodes = 7;
      growTo = null;
    };
    expected = {
      label = "ROOT";
      uuid = "14e19a7b-0ae0-484d-9d54-43bd6fdc20c7";
      freeSpace = 0;
      freeInodes = 7;
      growTo = null;
    };
  };
  "the record of an earlier layout" = {
    expr =
      map (arguments: (section "filesystem" arguments).layoutLike or "none")
        [
          { }
          { layoutLike = null; }
          { layoutLike = "/records/last.layout.zst"; }
        ];
    expected = [
      "none"
      "none"
      "/records/last.layout.zst"
    ];
  };
  "the level" = {
    expr = section "output" {
      compressImage = true;
      compressionLevel = 19;
    };
    expected = {
      compression = {
        format = "zstd";
        level = 19;
      };
      verify = false;
    };
  };
  "frames, and layers that need them" = {
    expr =
      map
        (arguments: (section "output" ({ compressImage = true; } // arguments)).compression.frames or "none")
        [
          { }
          { frames = true; }
          { frames = false; }
          { layers = [ [ pkgs.hello ] ]; }
          {
            frames = true;
            plan.output.compression.format = "zstd";
          }
        ];
    expected = [
      "none"
      true
      "none"
      true
      "none"
    ];
  };
  "no frames without compression" = {
    expr = (section "output" { layers = [ [ pkgs.hello ] ]; }).compression;
    expected = null;
  };
  "the level of a format that has its own default" = {
    expr = section "output" {
      compressImage = true;
      compressionFormat = "gzip";
    };
    expected = {
      compression = {
        format = "gzip";
        level = 6;
      };
      verify = false;
    };
  };
  "the plan's own word is the last, field by field" = {
    expr = section "filesystem" {
      plan.filesystem = {
        label = "OTHER";
        reservedPercent = 0;
      };
    };
    expected = section "filesystem" { } // {
      label = "OTHER";
      reservedPercent = 0;
    };
  };
  "two kinds of entry never mix" = {
    expr = section "entries" {
      entries."/x" = {
        type = "file";
        text = "x";
      };
      plan.entries."/x".type = "directory";
    };
    expected."/x".type = "directory";
  };
  "the plan can leave the closure out" = {
    expr = section "closure" { plan.closure = null; };
    expected = null;
  };
}
