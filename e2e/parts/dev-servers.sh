#!/usr/bin/env bash
# The development servers that are driven through the gateway: packages of npm, below .parts/. They need the project's own
# packages (npm ci), which bring the Node that reads the script.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
exec "$root/node_modules/.bin/node" "$root/e2e/dev-servers/install.ts"
