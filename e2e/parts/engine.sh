#!/usr/bin/env bash
# The Docker engine on its default socket.
#   engine.sh install   the Debian packages
#   engine.sh answers   exit status 0 if an engine answers
#   engine.sh start     starts dockerd if none answers, and remembers that it did
#   engine.sh stop      ends the dockerd that `start` started, and no other
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
state=$(cd "$here/../.." && pwd)/.parts/run
export DOCKER_HOST=unix:///var/run/docker.sock
bin=$(cd "$here/../.." && pwd)/.parts/bin
started=$state/dockerd.pid # "pid start-time": a pid alone may be another process after a reboot
log=$state/dockerd.log
docker_pid=/var/run/docker.pid

fail() { echo "engine: $*" >&2; exit 1; }
answers() { timeout 10 docker version >/dev/null 2>&1; }
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
runs() { [ -n "$1" ] && [ -d "/proc/$1" ] && [ "$(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null)" != Z ]; }

install() {
  # Named one by one, since the recommended packages are left out: what the engine, the egress rules and disks call.
  "$here/packages.sh" docker.io iptables nftables iproute2 procps ca-certificates e2fsprogs btrfs-progs
}

start() {
  mkdir -p "$state"
  exec 9>/run/lock/dockerd-start.lock
  flock 9
  if answers; then echo "engine: answers already"; return; fi
  [ "$(id -u)" = 0 ] || fail "no engine answers, and starting one needs root"
  command -v dockerd >/dev/null || fail "dockerd is not installed: run engine.sh install"

  # dockerd refuses to start beside the pid file of an engine that was killed.
  if [ -f $docker_pid ] && [ "$(cat "/proc/$(cat $docker_pid)/comm" 2>/dev/null)" != dockerd ]; then rm -f $docker_pid; fi

  local pid begin=$EPOCHREALTIME
  local runtimes=()
  # A runtime may be a program of its own or be named in the daemon's file, not both.
  if [ -x "$bin/runsc" ] && ! grep -qs '"runtimes"' /etc/docker/daemon.json; then runtimes=(--add-runtime "runsc=$bin/runsc"); fi
  TMPDIR=/tmp setsid dockerd "${runtimes[@]}" >"$log" 2>&1 </dev/null 9>&- &
  pid=$!
  echo "$pid $(start_time $pid)" >"$started"
  for _ in $(seq 300); do
    if answers; then echo "engine: started in $(((${EPOCHREALTIME/./} - ${begin/./}) / 1000)) ms"; return; fi
    runs $pid || break
    sleep 0.1
  done
  stop >/dev/null
  tail -20 "$log" >&2
  fail "dockerd did not start (log: $log)"
}

stop() {
  local pid='' time='' containerd processes
  [ -f "$started" ] && read -r pid time <"$started"
  rm -f "$started"
  if ! runs "$pid" || [ "$(start_time "$pid")" != "$time" ]; then echo "engine: none of ours to stop"; return; fi

  containerd=$(pgrep -P "$pid" -x containerd || true)
  processes="$pid $containerd"
  kill "$pid"
  # dockerd gives containers ten seconds and itself fifteen.
  for _ in $(seq 300); do
    ended $processes && break
    sleep 0.1
  done
  if ! ended $processes; then
    echo "engine: dockerd does not end, killing it" >&2
    kill -KILL $processes 2>/dev/null || true
    sleep 0.5
  fi
  if [ "$(cat $docker_pid 2>/dev/null)" = "$pid" ]; then rm -f $docker_pid; fi
  ended $processes || fail "dockerd ($processes) is still there"
  echo "engine: stopped"
}

ended() { for process; do if runs "$process"; then return 1; fi; done; }

case ${1:-} in
  install | answers | start | stop) "$1" ;;
  *) echo "usage: engine.sh install|answers|start|stop" >&2; exit 2 ;;
esac
