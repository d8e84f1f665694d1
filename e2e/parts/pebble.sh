#!/usr/bin/env bash
# Pebble (an ACME server) and its challtestsrv (a DNS server that tests fill), built into .parts/bin. Debian's Pebble
# is older and knows neither ARI nor profiles.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "$here/../.." && pwd)/.parts/bin
version=v2.10.1

[ -x "$bin/pebble" ] && [ -x "$bin/pebble-challtestsrv" ] && exit 0
mkdir -p "$bin"
go=$("$here/go.sh")
log=$(mktemp)
trap 'rm -f "$log"' EXIT
CGO_ENABLED=0 GOBIN=$bin "$go" install github.com/letsencrypt/pebble/v2/cmd/{pebble,pebble-challtestsrv}@$version 2>"$log" || {
  tail -20 "$log" >&2
  echo "pebble: does not build" >&2
  exit 1
}
echo "pebble: $version"
