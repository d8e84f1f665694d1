#!/usr/bin/env bash
# Tries the xfs driver on a kernel with project quotas, in a virtual machine: `npm run test:xfs`. What it needs of Debian
# and is not installed is unpacked beside everything else, and is gone at the end.
set -euo pipefail

repository=$(cd "$(dirname "$0")/../../.." && pwd)
patience=300
fail() { echo "xfs-vm: $*" >&2; exit 1; }
[ -f /etc/debian_version ] && [ "$(uname -m)" = x86_64 ] || fail "needs Debian on x86-64"
node=$(readlink -f "$repository/node_modules/.bin/node") && [ -x "$node" ] || fail "needs npm ci"

work=$(mktemp -d)
vm=
finish() {
  [ -z "$vm" ] || { kill "$vm" && wait "$vm"; } 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$work"

mkdir -p packages/partial unpacked
depends=$(LC_ALL=C apt-cache depends linux-image-cloud-amd64)
kernel=$(sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\).*/\1/p' <<<"$depends" | head -n 1)
[ -n "$kernel" ] || fail "there is no kernel to download, try apt-get update"
{
  apt-get install -qq -y --download-only --no-install-recommends -o Debug::NoLocking=1 \
    -o Dir::Cache::archives="$work/packages" qemu-system-x86 busybox-static cpio xfsprogs &&
    (cd packages && apt-get download -qq "$kernel")
} >log 2>&1 </dev/null || fail "cannot download, try apt-get update: $(tail -n 1 log)"
for package in packages/*.deb; do dpkg-deb -x "$package" unpacked; done
new=$work/unpacked
PATH=$new/usr/bin:$new/usr/sbin:$new/bin:$new/sbin:$PATH:/usr/sbin:/sbin
export LD_LIBRARY_PATH=$new/usr/lib/x86_64-linux-gnu:$new/lib/x86_64-linux-gnu

# All that the machine has is in its memory, but for the disk that is tried.
mkdir -p root/{bin,dev,proc,sys,tmp,data,lib64,repository/node_modules} root/lib/{modules,x86_64-linux-gnu}
bring() {
  local program library
  for program; do
    cp -L "$(command -v "$program")" root/bin/
    for library in $(ldd "$(command -v "$program")" | grep -o '/[^ ]*'); do cp -L "$library" root/lib/x86_64-linux-gnu/; done
  done
}
cp -L "$(command -v busybox)" root/bin/
bring "$node" mkfs.xfs xfs_io xfs_quota
mv root/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 root/lib64/
cp -r "$repository/control" "$repository/package.json" root/repository/
release=${kernel#linux-image-}
modules=lib/modules/$release
for kind in drivers/virtio drivers/block/virtio_blk.ko fs/xfs lib/libcrc32c.ko crypto arch/x86/crypto; do
  mkdir -p "root/$modules/$(dirname "kernel/$kind")"
  cp -r "unpacked/$modules/kernel/$kind" "root/$modules/kernel/$kind"
done
cp "unpacked/$modules"/modules.{builtin,order} "root/$modules/"

cat >root/init <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
depmod
for module in crc32c-intel crc32c_generic virtio_pci virtio_blk xfs; do modprobe $module 2>/dev/null; done
cd /repository
node control/disks/testing/xfs-vm.ts /dev/vda /data
echo "status $?"
reboot -f
INIT
chmod +x root/init
(cd root && find . | cpio --quiet -o -H newc) >initrd
truncate -s 2G disk

export QEMU_MODULE_DIR=$new/usr/lib/x86_64-linux-gnu/qemu
[ -d "$QEMU_MODULE_DIR" ] || unset QEMU_MODULE_DIR
sources=()
for directory in {"$new",}/usr/share/{qemu,seabios}; do [ ! -d "$directory" ] || sources+=(-L "$directory"); done
# A machine without these has a /dev/kvm that cannot run a whole kernel.
acceleration=(-accel tcg -cpu max)
! grep -qwE 'vmx|svm' /proc/cpuinfo || [ ! -w /dev/kvm ] || acceleration=(-accel kvm -cpu host)
timeout "$patience" qemu-system-x86_64 "${sources[@]}" "${acceleration[@]}" -smp 2 -m 2G -no-reboot -nodefaults \
  -display none -serial stdio -kernel "unpacked/boot/vmlinuz-$release" -initrd initrd \
  -append "console=ttyS0 quiet panic=-1" -drive file=disk,format=raw,if=virtio,cache=unsafe >console 2>errors </dev/null &
vm=$!
wait "$vm" || echo "the machine ended with $?" >>errors
vm=
tr -d '\r' <console | sed -n '/^kernel /,$ { /^status /d; /reboot: /d; p }'
grep -q '^status 0' console && exit 0
grep -q '^kernel ' console || tail -n 20 console
cat errors >&2
fail "the xfs driver was not tried to the end"
