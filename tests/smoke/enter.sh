#!/bin/sh
# In mount and process namespaces of its own: makes a folder a machine, goes in, runs a command.
#
#     enter.sh ROOT BIND... -- COMMAND...
#
# BIND is a folder of this machine, seen in there at the same place, for reading. What is mounted
# here goes with the namespaces. Exit code 99: this machine does not let us.
set -eu
trap 'exit 99' EXIT
root=$1
shift
mount --make-rprivate /
mount --bind "$root" "$root" # what is pivoted to must be a mount
at() {
    place=$root$1
    shift
    mkdir -p "$place"
    mount "$@" "$place"
}
at /proc -t proc proc
at /sys -t sysfs sysfs
[ ! -d /sys/fs/cgroup ] || mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
at /sys/fs/bpf -t bpf bpf || :
at /dev -t devtmpfs devtmpfs
at /dev/pts -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts
mount --bind "$root/dev/pts/ptmx" "$root/dev/ptmx"
at /dev/shm -t tmpfs -o mode=1777 tmpfs
at /dev/hugepages -t hugetlbfs -o pagesize=2M hugetlbfs || :
at /run -t tmpfs -o mode=0755 tmpfs
mkdir -p "$root/run/lock"
while [ "$1" != -- ]; do
    mkdir -p "$root$1"
    mount --bind "$1" "$root$1"
    mount -o remount,bind,ro "$root$1"
    shift
done
shift
# Not chroot: namespaces made in there must find their own root, as on any machine.
mkdir -p "$root/.outside"
cd "$root"
pivot_root . .outside
cd /
hash -r
umount -l /.outside
rmdir /.outside
trap - EXIT
# The shell stays, as the first process of its namespace: it collects what others leave.
"$@" &
wait $!
