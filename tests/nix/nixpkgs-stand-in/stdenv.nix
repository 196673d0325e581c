# stdenv.mkDerivation, with structured attributes or without.
{
  lib,
  build,
  host,
  isStatic,
}:
let
  # Of a set, or of a function of the final set, in which finalPackage is the result.
  mkDerivation =
    args:
    if lib.isFunction args then
      let
        final = args (final // { finalPackage = package; });
        package = make final // {
          overrideAttrs =
            change:
            mkDerivation (
              final:
              let
                before = args final;
              in
              before // change before
            );
        };
      in
      package
    else
      make args;
  make =
    args:
    let
      # nixpkgs marks what is made for another platform in the same way.
      name =
        args.name or "${args.pname}-${args.version}"
        + lib.optionalString (host != build) "-${host}"
        + lib.optionalString isStatic "-static";
      derivationArgs =
        removeAttrs args [
          "meta"
          "passthru"
          "pname"
          "version"
        ]
        // {
          inherit name;
          nativeBuildInputs = map (input: input.__spliced.buildHost or input) (args.nativeBuildInputs or [ ]);
          system = build;
          builder = "/bin/bash";
          args = [
            "-e"
            ./setup.sh
          ];
        };
    in
    derivation derivationArgs
    // {
      inherit name;
      meta = args.meta or { };
      overrideAttrs = change: mkDerivation (args // change args);
    }
    // args.passthru or { };
in
{
  inherit mkDerivation;
  isLinux = true;
  hostPlatform = {
    inherit isStatic;
    system = host;
  };
  buildPlatform = {
    system = build;
    canExecute = platform: platform.system == build;
  };
}
