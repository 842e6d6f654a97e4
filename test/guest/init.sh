#!/bin/busybox sh
# The first process of the guest: loads what its devices need, and runs the program that the command
# line of the kernel names: holdfast.run=PROGRAM holdfast.arguments=A,B (test/guest/inside/).
# /dev/vda: node, tools and the compiled project, read-only. /dev/vdb, if there: the disk under test.
/bin/busybox mkdir -p /proc /sys /dev /tools
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
argument() {
  /bin/busybox sed -n "s/.*holdfast\.$1=\([^ ]*\).*/\1/p" /proc/cmdline | /bin/busybox tr , ' '
}
for module in $(/bin/busybox cat /modules/order); do
  /bin/busybox insmod "/modules/$module" || echo "GUEST module $module failed"
done
/bin/busybox mount -t ext4 -o ro /dev/vda /tools || echo "GUEST no tools"
/bin/busybox mount -t proc proc /tools/proc
/bin/busybox mount -t sysfs sys /tools/sys
/bin/busybox mount -t devtmpfs dev /tools/dev
for directory in tmp run mnt; do /bin/busybox mount -t tmpfs tmp "/tools/$directory"; done
/bin/busybox mkdir /tools/mnt/disk
if [ -b /dev/vdb ]; then
  /bin/busybox mount -t ext4 /dev/vdb /tools/mnt/disk || echo "GUEST no disk"
fi
cd /
export PATH=/bin:/sbin HOME=/tmp NO_COLOR=1
program=/app/build/test/guest/inside/$(argument run).js
# shellcheck disable=SC2046 # words of their own
/bin/busybox chroot /tools /bin/node "$program" $(argument arguments) 2>&1
echo "GUEST program ended with $?"
/bin/busybox poweroff -f
