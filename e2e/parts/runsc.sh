#!/usr/bin/env bash
# gVisor's runtime, built from source. `engine.sh start` tells the engine of it.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "$here/../.." && pwd)/.parts/bin
module=gvisor.dev/gvisor/runsc
# Of its branch "go", which has no tags.
version=v0.0.0-20260905035102-160fafc42237

if [ -x "$bin/runsc" ] && "$("$here/go.sh")" version -m "$bin/runsc" 2>/dev/null | grep -qF "$version"; then exit 0; fi

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
# Static: it runs itself again in an empty root.
if ! CGO_ENABLED=0 GOBIN=$work "$("$here/go.sh")" install -trimpath -ldflags "-s -w" "$module@$version" >"$work/log" 2>&1; then
  tail -20 "$work/log" >&2
  echo "runsc: does not build" >&2
  exit 1
fi
mkdir -p "$bin"
mv "$work/runsc" "$bin/runsc"
echo "runsc: $version"
