#!/usr/bin/env bash
# wrk, and nginx and HAProxy to measure against: the programs only, their system services do not run.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
for program in wrk nginx haproxy; do command -v $program >/dev/null || missing=yes; done
[ -n "${missing:-}" ] || exit 0

services() { pgrep -x 'nginx|haproxy' || true; }
before=$(services)
"$here/packages.sh" wrk nginx-light haproxy procps
# Not at the next boot either.
if [ -d /run/systemd/system ]; then systemctl disable --quiet --now nginx haproxy; fi
[ "$(services)" = "$before" ] || { echo "load: Debian started a service: $(pgrep -ax 'nginx|haproxy')" >&2; exit 1; }
