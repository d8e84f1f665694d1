#!/usr/bin/env bash
# wheel.sh REQUIREMENT DIRECTORY   unpacks a Python package's wheel, without installing it for Python.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
requirement=${1:?requirement} directory=${2:?directory}

python=python3
if ! $python -m pip --version >/dev/null 2>&1; then
  "$here/packages.sh" python3 python3-pip ca-certificates
  python=/usr/bin/python3
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
$python -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d "$work" "$requirement" >"$work/log" 2>&1 || {
  tail -5 "$work/log" >&2
  echo "wheel: cannot fetch $requirement" >&2
  exit 1
}
mkdir -p "$directory"
$python -m zipfile -e "$work"/*.whl "$directory"
