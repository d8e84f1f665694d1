#!/usr/bin/env bash
# Installs every part that the tests want beside Node: `npm run parts`. What is there already is left alone.
# The Docker engine runs only while images are made, unless it ran before.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
fail() { echo "parts: $*" >&2; exit 1; }
[ -f /etc/debian_version ] && command -v apt-get >/dev/null || fail "needs Debian (apt-get)"
[ "$(id -u)" = 0 ] || fail "needs root, to install packages and to start a Docker engine"

# Each lane is a process group of its own, so that an interrupted installation ends whole.
set -m
lanes=()
lane() {
  "$1" </dev/null &
  lanes+=($!)
}

finish() {
  local status=$? group
  trap '' INT TERM
  for group in "${lanes[@]}"; do kill -- "-$group" 2>/dev/null && wait "$group" 2>/dev/null || true; done
  # A package installation goes on to its end.
  flock -w 300 "$here/../../.parts/run/packages.lock" true 2>/dev/null || true
  [ -z "${started:-}" ] || "$here/engine.sh" stop || status=1
  exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

go_programs() { "$here/pebble.sh" && "$here/compose.sh" && "$here/runsc.sh"; }
programs() { "$here/chromium.sh" && "$here/load.sh" && "$here/knot.sh" && "$here/dev-servers.sh"; }
images() { "$here/traefik.sh" && "$here/images.sh"; }

"$here/engine.sh" install
# Compiling takes the longest by far, so it starts before everything that it does not need.
lane go_programs
"$here/engine.sh" answers || { started=yes; "$here/engine.sh" start; }
lane images
lane programs

failed=
for pid in "${lanes[@]}"; do wait "$pid" || failed=yes; done
lanes=()
[ -z "$failed" ] || fail "not everything could be installed, see above"
echo "parts: all there after $SECONDS s"
