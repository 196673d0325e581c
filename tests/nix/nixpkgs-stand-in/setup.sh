# What the stand-in's builder runs: the host's tools on PATH, the attributes as variables, then buildCommand or the
# phases.
set -eu -o pipefail
shopt -s inherit_errexit
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=$NIX_BUILD_TOP LC_ALL=C TZ=UTC
umask 022

# Before Nix 2.13 the two variables name a place outside the sandbox; nixpkgs' stdenv sets them right as well.
if [ -n "${NIX_ATTRS_SH_FILE:-}" ] && ! [ -e "$NIX_ATTRS_SH_FILE" ]; then
  export NIX_ATTRS_SH_FILE=$NIX_BUILD_TOP/.attrs.sh NIX_ATTRS_JSON_FILE=$NIX_BUILD_TOP/.attrs.json
fi
if [ -e "${NIX_ATTRS_SH_FILE:-}" ]; then
  . "$NIX_ATTRS_SH_FILE"
  structured=1
  for output in "${!outputs[@]}"; do export "$output=${outputs[$output]}"; done
fi

# The words of a variable, be it a list of structured attributes or a string.
words() {
  if [ -n "${structured:-}" ]; then eval "printf '%s\n' \"\${$1[@]:-}\""; else eval "printf '%s\n' \${$1:-}"; fi
}
for input in $(words nativeBuildInputs); do PATH=$input/bin:$PATH; done

runHook() { eval "${!1:-}"; }

if [ -n "${buildCommand:-}" ]; then
  eval "$buildCommand"
else
  cp -r "$src" source
  chmod -R u+w source
  cd source
  for phase in configurePhase buildPhase installPhase; do eval "${!phase:-}"; done
fi
