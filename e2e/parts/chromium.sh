#!/usr/bin/env bash
# Chromium, certutil (which makes it trust a test CA) and fonts that make its screenshots readable.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
"$here/packages.sh" chromium libnss3-tools openssl fonts-liberation fonts-dejavu-core fonts-noto-core fonts-noto-color-emoji
