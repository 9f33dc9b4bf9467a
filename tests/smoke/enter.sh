#!/bin/sh
# Run a command with a folder as its root, in mount and process namespaces made by the caller.
#
#     enter.sh ROOT BIND... -- COMMAND...
#
# BIND is a folder of this machine, mounted read-only at the same path. All mounts end with the
# namespaces. Exit code 99: this machine does not allow it.
set -eu
trap 'exit 99' EXIT
root=$1
shift
mount --make-rprivate /
mount --bind "$root" "$root" # the new root must be a mount
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
# pivot_root, not chroot: namespaces made by the command must find their own root.
mkdir -p "$root/.outside"
cd "$root"
pivot_root . .outside
cd /
hash -r
umount -l /.outside
rmdir /.outside
trap - EXIT
# The shell stays as the first process of its namespace: it reaps orphaned processes.
"$@" &
wait $!
