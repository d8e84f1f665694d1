#!/usr/bin/env bash
# `docker compose` v2, the CLI plugin, built from source where the machine has none.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
module=github.com/docker/compose/v2
version=v2.40.3
plugin=/usr/local/lib/docker/cli-plugins/docker-compose

docker compose version >/dev/null 2>&1 && exit 0
[ "$(id -u)" = 0 ] || { echo "compose: installing $plugin needs root" >&2; exit 1; }

go=$("$here/go.sh")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  tail -20 "$work/log" >&2
  echo "compose: $1" >&2
  exit 1
}

# Its go.mod has exclude directives, with which `go install module@version` refuses to work: build in a copy.
"$go" mod download -json $module@$version >"$work/log" 2>&1 || fail "cannot fetch $module@$version"
cp -r "$(sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p' "$work/log")" "$work/source"
chmod -R u+w "$work/source"
CGO_ENABLED=0 "$go" build -C "$work/source" -trimpath -tags fsnotify \
  -ldflags "-s -w -X $module/internal.Version=$version" -o "$work/docker-compose" ./cmd >"$work/log" 2>&1 || fail "does not build"
mkdir -p "$(dirname $plugin)"
install -m 755 "$work/docker-compose" $plugin
echo "compose: $(docker compose version --short)"
