# Drop-in for nixpkgs' nixos/lib/make-ext4-fs.nix: same arguments, same name, same kind of result, made by snugfs.
# Call it with `pkgs.callPackage`, with a plain `import`, or set `sdImage.rootFilesystemCreator` to this file. It needs
# neither our overlay nor our flake. Its arguments: arguments.nix, or docs/nix.md.
import ./function.nix {
  name = "makeExt4Fs";
  make =
    {
      self,
      given,
      arguments,
    }:
    let
      inherit (arguments)
        pkgs
        lib
        compressImage
        storePaths
        ;
      compression = import ./compression.nix { inherit lib; };
      plan = import ./plan.nix { inherit lib; } { inherit arguments; };
      variant =
        compress:
        if compress == compressImage then image else self (given // { compressImage = compress; });

      image =
        import ./image.nix
          {
            inherit pkgs lib;
            inherit (arguments) snugfs;
          }
          {
            name = "ext4-fs.img${compression.suffix (plan.output.compression or null)}";
            inherit plan;
            inherit (arguments) keepReferences layers;
            closures.closure = storePaths;
            commands = ''
              mkdir -p ./files
              ${arguments.populateImageCommands}
            '';
            passthru = {
              inherit plan;
              uncompressed = variant false;
              compressed = variant true;
              tests = import ./image-tests.nix {
                inherit
                  pkgs
                  lib
                  image
                  storePaths
                  ;
                inherit (compression.of arguments.compressionFormat) tool;
              };
            };
          };
    in
    image;
}
