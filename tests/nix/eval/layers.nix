# The derivations of layers, and which images use them.
{ pkgs, lib }:
let
  image =
    arguments:
    pkgs.callPackage ../../../nix/make-ext4-fs.nix (
      {
        storePaths = [ pkgs.jq ];
        volumeLabel = "ROOT";
        compressImage = true;
        inherit layers;
      }
      // arguments
    );
  layers = [
    [ pkgs.hello ]
    [
      pkgs.jq
      "${pkgs.zstd}"
    ]
  ];
  layersOf = arguments: (image arguments).layers;
  drvs = arguments: map (layer: layer.drvPath) (layersOf arguments);
  # Whether each layer is the one that the image without these arguments has.
  same = arguments: lib.genList (n: lib.elemAt (drvs arguments) n == lib.elemAt (drvs { }) n) 2;
  inputs = image: lib.attrNames (builtins.getContext (toString image.buildCommand));
  usesLayers =
    image: lib.any (lib.hasInfix "-snugfs-layer-") (map builtins.unsafeDiscardStringContext (inputs image));
in
{
  "names" = {
    expr = map (layer: layer.name) (layersOf { });
    expected = [
      "snugfs-layer-1"
      "snugfs-layer-2"
    ];
  };
  "a layer has the roots of all earlier layers" = {
    expr = map (layer: lib.mapAttrs (_key: map toString) layer.exportReferencesGraph) (layersOf {
      layers = [
        [ pkgs.hello ]
        [ pkgs.jq ]
        [ pkgs.zstd ]
      ];
    });
    expected = [
      { closure = [ "${pkgs.hello}" ]; }
      {
        closure = [ "${pkgs.jq}" ];
        earlier = [ "${pkgs.hello}" ];
      }
      {
        closure = [ "${pkgs.zstd}" ];
        earlier = [
          "${pkgs.hello}"
          "${pkgs.jq}"
        ];
      }
    ];
  };
  "its plan is about what decides frames" = {
    expr =
      (lib.head (layersOf {
        compressionLevel = 9;
        verify = "hash";
      })).plan;
    expected = {
      version = 1;
      closure = {
        graph = "closure";
        inherit (builtins) storeDir;
        sourceDir = builtins.storeDir;
        verify = "hash";
      };
      output.compression = {
        format = "zstd";
        level = 9;
        frames = true;
      };
    };
  };
  "the plan's own word is the last for layers, too" = {
    expr =
      let
        inherit
          (lib.head (layersOf {
            plan.closure.verify = "none";
            plan.output.compression = {
              format = "zstd";
              level = 7;
              frames = true;
            };
          }))
          plan
          ;
      in
      [
        plan.closure.verify
        plan.output.compression.level
      ];
    expected = [
      "none"
      7
    ];
  };
  "another image has the same layers" = {
    expr = same {
      storePaths = [ pkgs.zstd ];
      volumeLabel = "OTHER";
      freeSpace = 0;
      deduplicate = true;
      nixDatabase = true;
      populateImageCommands = "touch files/x";
      entries."/y".type = "directory";
    };
    expected = [
      true
      true
    ];
  };
  "so have a disk and an SD image" = {
    expr = map (image: map (layer: layer.drvPath) image.layers) [
      (pkgs.callPackage ../../../nix/make-sd-image.nix {
        storePaths = [ ];
        compressImage = true;
        inherit layers;
      })
      (pkgs.callPackage ../../../nix/make-disk-image.nix {
        disk = { };
        compressImage = true;
        inherit layers;
      })
    ];
    expected = [
      (drvs { })
      (drvs { })
    ];
  };
  "another earlier layer changes the later ones" = {
    expr = same {
      layers = [
        [ pkgs.e2fsprogs ]
        [
          pkgs.jq
          pkgs.zstd
        ]
      ];
    };
    expected = [
      false
      false
    ];
  };
  "another later layer does not change the earlier ones" = {
    expr = same {
      layers = [
        [ pkgs.hello ]
        [ pkgs.jq ]
      ];
    };
    expected = [
      true
      false
    ];
  };
  "another level, or whether hashes are compared, changes them" = {
    expr = map same [
      { compressionLevel = 4; }
      { verify = "hash"; }
    ];
    expected = [
      [
        false
        false
      ]
      [
        false
        false
      ]
    ];
  };
  "an image that is not compressed has none" = {
    expr =
      map
        (image: [
          (lib.length image.layers)
          (usesLayers image)
        ])
        [
          (image { })
          (image { }).uncompressed
          (image { compressImage = false; })
          (image { compressImage = false; }).compressed
          (image { plan.output.compression = null; })
        ];
    expected = [
      [
        2
        true
      ]
      [
        0
        false
      ]
      [
        0
        false
      ]
      [
        2
        true
      ]
      [
        0
        false
      ]
    ];
  };
  "and is the one without layers" = {
    expr = (image { }).uncompressed.drvPath;
    expected = (image { layers = [ ]; }).uncompressed.drvPath;
  };
  "references are dropped, unless those of the image are kept" = {
    expr = map (layer: layer ? unsafeDiscardReferences) (
      layersOf { } ++ layersOf { keepReferences = true; }
    );
    expected = [
      true
      true
      false
      false
    ];
  };
}
