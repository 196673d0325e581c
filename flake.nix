{
  description = "Exact, reproducible ext4 and disk images of Nix closures";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.11";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forAllSystems =
        f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system} self.packages.${system});

      # The program for the machine that builds: of the caller's overlay, else this flake's own, so that a caller's
      # nixpkgs may have any age.
      program =
        pkgs: pkgs.buildPackages.snugfs or self.packages.${pkgs.stdenv.buildPlatform.system}.snugfs or null;
      # makeExt4Fs, makeSdImage, makeDiskImage and makeNixosDisk, each a function of pkgs and its arguments.
      functions = lib.mapAttrs (
        _name: file: pkgs: arguments:
        pkgs.callPackage file ({ snugfs = program pkgs; } // arguments)
      ) (import ./nix/functions.nix);
      functionsFor = pkgs: lib.mapAttrs (_name: function: function pkgs) functions;
    in
    {
      # inputs.snugfs.lib.makeExt4Fs pkgs { … }
      lib = functions;

      # pkgs.makeExt4Fs { … }
      overlays.default = import ./nix/overlay.nix;

      # A function, because Nix before 2.9 refuses a path here.
      nixosModules.default =
        { lib, pkgs, ... }:
        {
          imports = [ ./nix/module.nix ];
          sdImage.snugfs.package = lib.mkDefault (program pkgs);
        };

      # The image variants of NixOS: system.build.images, nixos-rebuild build-image.
      nixosModules.images =
        { lib, pkgs, ... }:
        {
          imports = [ ./nix/images-module.nix ];
          image.snugfs.package = lib.mkDefault (program pkgs);
        };

      # A system that boots from a root with a hash tree.
      nixosModules.verity =
        { ... }:
        {
          imports = [ ./nix/verity-module.nix ];
        };

      # What nothing builds unasked: functions, and the program as one file for every Linux of its processor.
      legacyPackages = forAllSystems (
        pkgs: _own:
        functionsFor pkgs
        // {
          snugfsStatic = pkgs.pkgsStatic.callPackage ./nix/package.nix { };
        }
      );

      packages = forAllSystems (
        pkgs: own: {
          default = own.snugfs;
          snugfs = pkgs.callPackage ./nix/package.nix { };
          sdImage = functions.makeSdImage pkgs {
            storePaths = [ pkgs.hello ];
            populateFirmwareCommands = "echo 'kernel=u-boot.bin' > firmware/config.txt";
          };
        }
      );

      apps = forAllSystems (
        _pkgs: own: {
          default = {
            type = "app";
            program = "${own.snugfs}/bin/snugfs";
            meta.description = own.snugfs.meta.description;
          };
          # nix run .#flash -- /dev/sdX
          flash = {
            type = "app";
            program = "${own.sdImage.flash}/bin/snugfs-flash";
            meta.description = "Writes the SD image to a card, only where it differs";
          };
        }
      );

      checks = forAllSystems (
        pkgs: own:
        import ./nix/checks.nix {
          inherit pkgs;
          packages = own;
          inherit (functionsFor pkgs)
            makeExt4Fs
            makeSdImage
            makeDiskImage
            makeNixosDisk
            ;
          module = self.nixosModules.default;
          overlay = self.overlays.default;
        }
      );

      devShells = forAllSystems (pkgs: _own: { default = import ./nix/dev-shell.nix { inherit pkgs; }; });
      formatter = forAllSystems (pkgs: _own: import ./nix/formatter.nix { inherit pkgs; });

      templates.default = {
        path = ./templates/sd-image;
        description = "A NixOS SD image made by snugfs";
      };
    };
}
