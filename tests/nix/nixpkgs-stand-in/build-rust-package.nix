# rustPlatform.buildRustPackage with the host's toolchain: the crates of the lock file, checked against its sums, come
# from the local cargo cache (`cargo fetch --locked` fills it), and cargo is kept off the network.
{
  lib,
  config,
  mkDerivation,
}:
{
  cargoLock,
  cargoBuildFlags ? [ ],
  passthru ? { },
  ...
}@args:
let
  lock = builtins.fromTOML (builtins.readFile cargoLock.lockFile);
  crates = lib.filter (package: package ? checksum) lock.package;
  vendored = mkDerivation {
    name = "vendored-crates";
    crates = lib.concatMapStringsSep "\n" (
      crate: "${crate.checksum} ${crate.name}-${crate.version}"
    ) crates;
    passAsFile = [ "crates" ];
    buildCommand = ''
      . ${./host-toolchain.sh}
      mkdir "$out"
      while read -r sum crate; do
        found=
        for file in "$cargoCache"/registry/cache/*/"$crate.crate"; do
          if echo "$sum  $file" | sha256sum --check --status; then found=$file; break; fi
        done
        if [ -z "$found" ]; then
          echo "$crate is not in the cargo cache; run cargo fetch --locked" >&2
          exit 1
        fi
        tar xzf "$found" -C "$out"
        printf '{"files":{},"package":"%s"}' "$sum" > "$out/$crate/.cargo-checksum.json"
      done < <(cat "$cratesPath"; echo)
    '';
  };
in
mkDerivation (
  {
    inherit vendored cargoBuildFlags;
    configurePhase = ''
      . ${./host-toolchain.sh}
      export CARGO_HOME=$NIX_BUILD_TOP/cargo CARGO_TARGET_DIR=$NIX_BUILD_TOP/target
      mkdir -p "$CARGO_HOME"
      # It says where this private store is, and tests that run Nix have another of their own.
      unset NIX_STORE
      printf '[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "%s"\n' \
        "$vendored" > "$CARGO_HOME/config.toml"
    '';
    buildPhase = ''cargo build --release --frozen --offline --jobs "''${NIX_BUILD_CORES:-1}" $cargoBuildFlags'';
    installPhase = ''
      mkdir -p "$out/bin"
      find "$CARGO_TARGET_DIR/release" -maxdepth 1 -type f -executable -exec cp -t "$out/bin" {} +
      runHook postInstall
    '';
  }
  // removeAttrs args [ "cargoLock" ]
  // {
    passthru = if config.packageTests or false then passthru else removeAttrs passthru [ "tests" ];
  }
)
