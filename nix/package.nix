# The program. Its tests are derivations of their own under `passthru.tests`, so that installing it runs none.
# With pkgsStatic.callPackage it is one file that runs on every Linux of its processor: linked with musl, without a loader.
{
  lib,
  stdenv,
  rustPlatform,
  installShellFiles,
  clippy,
  rustfmt,
  e2fsprogs,
  fish,
  mandoc,
  nix,
  util-linux,
  zsh,
}:
let
  manifest = builtins.fromTOML (builtins.readFile ../Cargo.toml);

  # The sources without what they are not made of: editing docs or Nix files rebuilds nothing.
  sources =
    parts:
    builtins.path {
      name = "snugfs-source";
      path = ../.;
      filter =
        path: _type:
        let
          relative = lib.removePrefix (toString ../. + "/") (toString path);
        in
        lib.any (
          part: relative == part || lib.hasPrefix "${part}/" relative || lib.hasPrefix "${relative}/" part
        ) parts;
    };
  # What cargo reads to build.
  parts = [
    "Cargo.lock"
    "Cargo.toml"
    "clippy.toml"
    "crates"
    "rustfmt.toml"
  ];
  # What the tests read besides.
  testParts = [
    "docs/command-line.md"
    "docs/plan-format.md"
    "docs/plan.schema.json"
    "docs/reference/verify-codes.md"
    "examples"
    "tests/golden"
    "tests/integration"
    "tests/plans"
    "tests/registrations"
  ];

  common = {
    inherit (manifest.workspace.package) version;
    src = sources parts;
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
        src = sources (parts ++ testParts);
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
    nativeBuildInputs = [ installShellFiles ];
    # The program writes them; one for another machine can't be run here, and goes without.
    postInstall = lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
      for shell in bash fish zsh; do
        "$out/bin/snugfs" completions "$shell" > "snugfs.$shell"
      done
      installShellCompletion snugfs.{bash,fish,zsh}
      "$out/bin/snugfs" man manual
      installManPage manual/man*/*
    '';
    # A static program asks for no loader.
    doInstallCheck = stdenv.hostPlatform.isStatic or false;
    installCheckPhase = ''
      runHook preInstallCheck
      if "''${READELF:-readelf}" --program-headers "$out/bin/snugfs" | grep INTERP; then
        echo "snugfs is not linked statically" >&2
        exit 1
      fi
      runHook postInstallCheck
    '';
    passthru.tests = {
      # Without the tests of two crates that mount file systems, for which a build has not the right.
      cargo = check "tests" [ e2fsprogs fish mandoc nix util-linux zsh ] ''
        cargo test --offline --workspace --exclude file-scanner --exclude image-assembly
        cargo test --offline --package file-scanner --package image-assembly --lib
      '';
      clippy = check "clippy" [
        clippy
      ] "cargo clippy --offline --workspace --all-targets -- --deny warnings";
      format = check "format" [ rustfmt ] "cargo fmt --all --check";
    };
    meta = {
      inherit (manifest.workspace.package) description;
      homepage = manifest.workspace.package.repository;
      license = lib.licenses.mit;
      mainProgram = "snugfs";
      platforms = lib.platforms.linux;
    };
  }
)
