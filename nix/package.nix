# The program. Its tests are derivations of their own under `passthru.tests`, so that installing it runs none.
{
  lib,
  rustPlatform,
  clippy,
  rustfmt,
  e2fsprogs,
}:
let
  manifest = builtins.fromTOML (builtins.readFile ../Cargo.toml);

  common = {
    inherit (manifest.workspace.package) version;
    src = builtins.path {
      name = "snugfs-source";
      path = ../.;
      # What cargo reads and no more: editing docs or Nix files rebuilds nothing.
      filter =
        path: _type:
        let
          relative = lib.removePrefix (toString ../. + "/") (toString path);
        in
        lib.elem relative [
          "Cargo.lock"
          "Cargo.toml"
          "clippy.toml"
          "crates"
          "rustfmt.toml"
        ]
        || lib.hasPrefix "crates/" relative;
    };
    cargoLock.lockFile = ../Cargo.lock;
    doCheck = false;
  };

  # One cargo command over the sources, as a test.
  check =
    name: tools: command:
    rustPlatform.buildRustPackage (
      common
      // {
        pname = "snugfs-${name}";
        nativeBuildInputs = tools;
        buildPhase = ''
          runHook preBuild
          ${command}
          runHook postBuild
        '';
        installPhase = "touch $out";
      }
    );
in
rustPlatform.buildRustPackage (
  common
  // {
    pname = "snugfs";
    # The zstd library is the crate's own copy: the bytes of a compressed image do not depend on nixpkgs'.
    cargoBuildFlags = [
      "--package"
      "snugfs"
    ];
    passthru.tests = {
      cargo = check "tests" [ e2fsprogs ] "cargo test --offline --workspace";
      clippy = check "clippy" [ clippy ] "cargo clippy --offline --workspace --all-targets -- --deny warnings";
      format = check "format" [ rustfmt ] "cargo fmt --all --check";
    };
    meta = {
      inherit (manifest.workspace.package) description;
      license = lib.licenses.mit;
      mainProgram = "snugfs";
      platforms = lib.platforms.linux;
    };
  }
)
