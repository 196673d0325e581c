# What every step relies on: a private Nix, the sources, and how they are built against the stand-in.
export SOURCE=$WORK/source
export STAND_IN=$SOURCE/tests/nix/nixpkgs-stand-in

export NIX_STORE_DIR=$WORK/nix/store NIX_STATE_DIR=$WORK/nix/var/nix NIX_LOG_DIR=$WORK/nix/var/log/nix
export NIX_LOCALSTATE_DIR=$WORK/nix/var NIX_CONF_DIR=$WORK/nix/etc NIX_REMOTE='' NIX_PATH='' NIX_USER_CONF_FILES=''
export XDG_CACHE_HOME=$WORK/cache
# The builders of the stand-in are programs of the host, so there is no sandbox.
export NIX_CONFIG="
sandbox = false
build-users-group =
substitute = false
flake-registry =
warn-dirty = false
allow-import-from-derivation = false
experimental-features = nix-command flakes
"

# nix' own words about an input that is overridden are no part of a step's log.
against_stand_in() { nix "$@" --no-write-lock-file --override-input nixpkgs "path:$STAND_IN"; }
# nix build, whose older versions tell the path only so
output_of() { "$@" --no-link --json | jq -er '.[0].outputs.out'; }
# build an output of the flake -> its path
build() { output_of against_stand_in build "path:$SOURCE#$1" "${@:2}"; }
# build an expression in which `pkgs` is the stand-in and `makeExt4Fs` ours -> its path
expression() {
  echo "let pkgs = import $STAND_IN { }; makeExt4Fs = arguments: pkgs.callPackage $SOURCE/nix/make-ext4-fs.nix arguments; in $1"
}
build_expression() { nix-build --no-out-link -E "$(expression "$1")" "${@:2}"; }
evaluate() { nix-instantiate --eval --strict --json -E "$(expression "$1")" "${@:2}"; }
fail() {
  echo "$*" >&2
  exit 1
}
