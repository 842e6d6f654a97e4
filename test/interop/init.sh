#!/bin/busybox sh
# The first process of the guest: an RDMA device over its network card, and a shell for whoever
# connects to the port that the command line of the kernel names: holdfast.control=PORT.
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /var
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs tmp /tmp
export PATH=/bin:/usr/bin HOME=/tmp
for module in $(busybox cat /modules/order); do
  busybox insmod "/modules/$module" || echo "GUEST module $module failed"
done
busybox ip link set lo up
busybox ip link set eth0 up
# Where qemu's user network has its guest; the host is 10.0.2.2.
busybox ip address add 10.0.2.15/24 dev eth0
busybox ip route add default via 10.0.2.2
rdma link add siw0 type siw netdev eth0 || echo "GUEST no siw"
ulimit -l unlimited
port=$(busybox sed -n 's/.*holdfast\.control=\([0-9]*\).*/\1/p' /proc/cmdline)
echo "GUEST ready"
busybox nc -ll -p "$port" -e /bin/sh
echo "GUEST control ended with $?"
busybox poweroff -f
