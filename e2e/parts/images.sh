#!/usr/bin/env bash
# Local stand-ins for the images that Dockerfiles and compose files name, made from packages only:
#   debian:bookworm-slim   mmdebstrap
#   node:24-bookworm-slim  + the Node binary and npm from npm packages, and the user node (1000)
#   traefik:v3.7           the Traefik binary, CA certificates and time zones
# A tag that exists is left alone. What is made here has the label "sandboxd.stand-in", which finds it again.
# The images trust what this machine trusts, so npm and apt work while an image is built from them.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "$here/../.." && pwd)/.parts/bin
export DOCKER_HOST=unix:///var/run/docker.sock
debian=debian:bookworm-slim node=node:24-bookworm-slim traefik=traefik:v3.7
node_major=24 npm_major=11

fail() { echo "images: $*" >&2; exit 1; }
has() { docker image inspect "$1" >/dev/null 2>&1; }
# The classic builder takes FROM from local tags and needs no frontend image.
build() { DOCKER_BUILDKIT=0 docker build -q --label sandboxd.stand-in=true "$@" >"$work/build.log" 2>&1 || fail "$(cat "$work/build.log")"; }

main() {
  if has $debian && has $node && has $traefik; then return; fi
  "$here/engine.sh" answers || fail "no Docker engine answers: run engine.sh start"
  "$here/packages.sh" mmdebstrap ca-certificates tzdata

  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT

  local fetching
  if ! has $node; then
    fetch_node &
    fetching=$!
  fi
  has $debian || make_debian
  has $traefik || make_traefik
  if ! has $node; then
    wait $fetching || exit 1
    make_node
  fi
}

make_debian() {
  # Unsafe means: a power cut in these seconds would spoil it. Otherwise a quarter of the time is waiting for the disk.
  TMPDIR=$work mmdebstrap --quiet --variant=apt --include=ca-certificates,netbase,tzdata \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt=force-unsafe-io --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
    bookworm "$work/debian.tar" >"$work/debian.log" 2>&1 || fail "mmdebstrap: $(tail -5 "$work/debian.log" | cut -c 1-300)"
  docker import -c 'CMD ["bash"]' -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    "$work/debian.tar" stand-in/debian >/dev/null
  rm "$work/debian.tar"
  mkdir "$work/debian"
  cp /etc/ssl/certs/ca-certificates.crt "$work/debian/"
  printf 'FROM stand-in/debian\nCOPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt\n' >"$work/debian/Dockerfile"
  build -t $debian "$work/debian"
  docker rmi stand-in/debian >/dev/null
  echo "images: $debian"
}

# The newest that the registry really serves: it may list versions whose file it does not have.
fetch_node() {
  local arch package version
  case $(uname -m) in x86_64) arch=x64 ;; aarch64) arch=arm64 ;; *) fail "no Node package for $(uname -m)" ;; esac
  package=node-linux-$arch
  cd "$work"
  npm pack --silent "npm@$npm_major" >/dev/null 2>&1 || fail "npm does not fetch npm@$npm_major"
  for version in $(npm view $package versions --json 2>/dev/null | grep -o "\b$node_major\.[0-9.]*" | sort -rV | head -5); do
    if npm pack --silent "$package@$version" >/dev/null 2>&1; then return; fi
  done
  fail "npm does not fetch $package@$node_major"
}

make_node() {
  local root=$work/node/root version
  mkdir -p "$root/usr/local/bin" "$root/usr/local/lib/node_modules"
  tar -xzf "$work"/node-linux-*.tgz -C "$root/usr/local" --strip-components=1 package/bin/node
  tar -xzf "$work"/npm-*.tgz -C "$root/usr/local/lib/node_modules" --transform 's,^package,npm,'
  chmod 755 "$root/usr/local/bin/node"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
  ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
  ln -s node "$root/usr/local/bin/nodejs"
  version=$("$root/usr/local/bin/node" -p process.versions.node)
  pack "$work/node"
  cat >"$work/node/Dockerfile" <<DOCKERFILE
FROM $debian
ADD root.tar /
RUN groupadd --gid 1000 node && useradd --uid 1000 --gid node --shell /bin/bash --create-home node
ENV NODE_VERSION=$version NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
CMD ["node"]
DOCKERFILE
  build -t $node "$work/node"
  echo "images: $node ($version)"
}

make_traefik() {
  local root=$work/traefik/root
  "$here/traefik.sh"
  mkdir -p "$root/etc/ssl/certs" "$root/usr/share" "$root/usr/local/bin" "$root/tmp"
  chmod 1777 "$root/tmp"
  cp "$bin/traefik" "$root/usr/local/bin/"
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  cp -r /usr/share/zoneinfo "$root/usr/share/"
  pack "$work/traefik"
  printf 'FROM scratch\nADD root.tar /\nENV PATH=/usr/local/bin\nEXPOSE 80\nENTRYPOINT ["traefik"]\n' >"$work/traefik/Dockerfile"
  build -t $traefik "$work/traefik"
  echo "images: $traefik"
}

# An archive instead of files in the build context: the owner is root whoever runs this, and it is read once.
pack() {
  tar -C "$1/root" --owner=0 --group=0 -cf "$1/root.tar" .
  rm -rf "$1/root"
}

main
