# For reproducible-build and release: builds a commit so that the program depends on no folder of this machine.

# FOLDER [CARGO ARGUMENT …]: builds $commit below the folder. Uses $EXTRA_RUSTFLAGS too. Paths of crates end up in messages of
# panics, so they get one name everywhere. What cargo builds is in FOLDER/target.
build_commit() {
  local folder=$1
  shift
  mkdir -p "$folder/source" "$folder/cargo/registry"
  git archive "${commit:?}" | tar -x -C "$folder/source"
  # Downloads are the same everywhere; they are unpacked in a folder of its own.
  local registry=${CARGO_HOME:-$HOME/.cargo}/registry part
  for part in cache index; do
    [ ! -d "$registry/$part" ] || cp -r "$registry/$part" "$folder/cargo/registry/$part"
  done
  (
    cd "$folder/source"
    CARGO_HOME=$folder/cargo CARGO_TARGET_DIR=$folder/target SOURCE_DATE_EPOCH=1 \
      RUSTFLAGS="--remap-path-prefix=$folder/cargo/registry/src=/crates --remap-path-prefix=$folder/source=/snugfs ${EXTRA_RUSTFLAGS:-}" \
      CFLAGS="-ffile-prefix-map=$folder=/snugfs" \
      cargo build --release --locked --quiet --package snugfs "$@"
  )
}
