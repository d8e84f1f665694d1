#!/usr/bin/env bash
# packages.sh NAME...   installs the Debian packages that are missing and starts none of their daemons.
# An installation that began is not interrupted: who must know that it ended waits for the lock on packages.lock.
# May run several times at once: one waits for the other. Package lists are fetched at most once an hour.
set -euo pipefail

state=$(cd "$(dirname "$0")/../.." && pwd)/.parts/run
log=$state/apt.log

missing() {
  for name; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
  done
}

apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 "$@" >>"$log" 2>&1 </dev/null
}

[ -n "$(missing "$@")" ] || exit 0
[ "$(id -u)" = 0 ] || { echo "packages: installing $(missing "$@" | xargs) needs root" >&2; exit 1; }

mkdir -p "$state"
exec 9>"$state/packages.lock"
flock 9
mapfile -t wanted < <(missing "$@")
[ ${#wanted[@]} -gt 0 ] || exit 0

# An interrupted installation would leave packages half configured.
trap '' INT TERM HUP

# The one place where Debian asks before a package's daemon is started, with systemd and without. A machine's own
# policy is left alone; one that was left behind here is not.
policy=/usr/sbin/policy-rc.d mark="# until packages.sh is done"
if [ ! -e $policy ] || grep -qxF "$mark" $policy; then
  trap 'rm -f $policy' EXIT
  printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >$policy
  chmod 755 $policy
fi

: >"$log"
dpkg --configure -a >>"$log" 2>&1 || true
# A source of the machine's that does not answer need not be one that carries these packages.
if [ -z "$(find "$state/apt-updated" -mmin -60 2>/dev/null)" ]; then
  apt update && touch "$state/apt-updated" || echo "packages: apt-get update failed, trying with the lists there are" >&2
fi
apt install -y --fix-broken --no-install-recommends "${wanted[@]}" || {
  tail -20 "$log" >&2
  echo "packages: cannot install ${wanted[*]} (log: $log)" >&2
  exit 1
}
echo "packages: installed ${wanted[*]}"
