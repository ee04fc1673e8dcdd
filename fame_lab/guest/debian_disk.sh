# From a root file system's archive on standard input to a disk that a BIOS boots, as qcow2 on standard output.
# No loop device and no mount: as root, or in a user namespace that has root's and other users' numbers.
# $1: size of the disk in MiB.
set -eu
PATH=$PATH:/usr/sbin:/sbin
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$scratch/root"
# Devices only root can make, and the kernel makes them anew at each boot.
tar -x --numeric-owner --xattrs --xattrs-include='*' --exclude='./dev/*' -C "$scratch/root"
disk=$scratch/disk

truncate -s "$1M" "$disk"
echo 'start=1MiB, type=83, bootable' | sfdisk --quiet --no-reread --no-tell-kernel --label dos "$disk"
mke2fs -q -t ext4 -L debian -m 1 -d "$scratch/root" -E offset=1048576 "$disk" $((($1 - 1) * 1024))k
# As the manual of grub-mkimage's core image has it: the boot sector, and the core right behind it, where the
# first partition leaves room. (grub-install would look for the disk in this host.)
dd if="$scratch/root/boot/grub/i386-pc/boot.img" of="$disk" bs=440 count=1 conv=notrunc status=none
dd if="$scratch/root/boot/grub/i386-pc/core.img" of="$disk" bs=512 seek=1 conv=notrunc status=none
qemu-img convert -f raw -O qcow2 "$disk" "$scratch/qcow2"
cat "$scratch/qcow2"
