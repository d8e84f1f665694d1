#!/usr/bin/env bash
# Knot DNS, an authoritative name server that takes updates by RFC 2136: the programs only, its system service does not run.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
"$here/packages.sh" knot knot-dnsutils
if [ -d /run/systemd/system ]; then systemctl disable --quiet --now knot; fi
