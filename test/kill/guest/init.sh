#!/bin/busybox sh
# The first process of the guest: loads what the two disks need, and runs the writer on the second.
# /dev/vda: node, its libraries and the compiled project, read-only. /dev/vdb: the disk under test.
/bin/busybox mkdir -p /proc /sys /dev /tools
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /modules/order); do
  /bin/busybox insmod "/modules/$module" || echo "GUEST module $module failed"
done
/bin/busybox mount -t ext4 -o ro /dev/vda /tools || echo "GUEST no tools"
/bin/busybox mount -t ext4 /dev/vdb /tools/mnt || echo "GUEST no disk"
/bin/busybox mount -t proc proc /tools/proc
/bin/busybox mount -t devtmpfs dev /tools/dev
round=$(/bin/busybox sed -n 's/.*holdfast.round=\([0-9]*\).*/\1/p' /proc/cmdline)
cd /
/bin/busybox chroot /tools /bin/node /app/build/test/kill/guest/writer.js /mnt/v.hf "/app/operations-$round.json" 2>&1
echo "GUEST writer ended with $?"
/bin/busybox poweroff -f
