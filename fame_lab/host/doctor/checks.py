"""The doctor's checks. Each reads this host, or judges what another has read; none changes anything."""

from __future__ import annotations

import grp
import os
import pwd
import resource
import shutil
import stat
from pathlib import Path

import psutil

from fame_lab.core.cache import own_cache
from fame_lab.core.lab_directory import LAB_BYTES, SHM
from fame_lab.core.sizes import MIB
from fame_lab.errors import ImageError
from fame_lab.host import apparmor as host_apparmor
from fame_lab.host import fam_location
from fame_lab.host.doctor.diagnosis import Check
from fame_lab.host.kvm_device import KVM, stalls_libvirt

__all__ = [
    "address_space",
    "apparmor",
    "cores",
    "disk_images",
    "guest_image",
    "kvm_device",
    "lab_network",
    "locked_memory",
    "open_files",
    "room_for_fam",
    "room_for_nodes",
]

TUN = Path("/dev/net/tun")
#: Bytes of a node on the host: 160 MiB were resident under TCG with the default memory; the rest is reserve.
NODE_BYTES = 192 * MIB


def kvm_device(path: Path = KVM) -> Check:
    """Check who may open /dev/kvm; whether KVM then works is the accelerator's question."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return Check("/dev/kvm", "ok", f"no {path}: nodes are emulated")
    owner = f"{_user(status.st_uid)}:{_group(status.st_gid)} {stat.S_IMODE(status.st_mode):04o}"
    if stalls_libvirt(path):
        mend = f"chown root:kvm {path} && chmod 0660 {path}"
        summary = f"{owner}: libvirt's QEMU cannot open it, so that libvirtd takes minutes for each node"
        return Check("/dev/kvm", "fail", summary, mend)
    if not os.access(path, os.R_OK | os.W_OK):
        mend = f"to try KVM, join its group: sudo adduser $USER {_group(status.st_gid)}, then log in anew"
        if status.st_gid == 0:  # as where no udev runs
            mend = f"to try KVM: sudo chown root:kvm {path}, sudo chmod 660 {path}, sudo adduser $USER kvm"
        return Check("/dev/kvm", "warn", f"{owner}: you may not open it, so nodes are emulated", mend)
    return Check("/dev/kvm", "ok", f"{owner}: you may open it, which does not prove that it works")


def lab_network() -> Check:
    """Return whether a lab can have a network of its own, which takes further programs."""
    packages = {"dnsmasq": "dnsmasq-base", "iptables": "iptables"}
    if os.geteuid() != 0:
        packages = {"vde_switch": "vde2"}
    path = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin:/sbin"
    missing = [program for program in packages if shutil.which(program, path=path) is None]
    if missing:
        names = " ".join(packages[program] for program in missing)
        summary = f"{' and '.join(missing)} missing: labs with network='libvirt' cannot run"
        return Check("network", "warn", summary, f"apt-get install {names}, or `make setup`")
    if os.geteuid() == 0 and not TUN.exists():
        summary = f"no {TUN}: labs with network='libvirt' cannot run"
        return Check("network", "warn", summary, "load the module tun, or give the container that device")
    way = "a bridge of libvirt's" if os.geteuid() == 0 else "a switch of yours (vde_switch)"
    return Check("network", "ok", f"with network='libvirt' nodes reach each other through {way}")


def room_for_fam(free: int | None = None, size: int | None = None, on_disk: int | None = None) -> Check:
    """Judge the room in /dev/shm, where FAM lies by default.

    Parameters
    ----------
    free, size : int, optional
        Bytes; by default those of /dev/shm.
    on_disk : int, optional
        Bytes that are free in FAM's other place; by default those of the cache's disk.
    """
    if free is None or size is None:
        filesystem = os.statvfs(SHM)
        free, size = filesystem.f_bavail * filesystem.f_frsize, filesystem.f_blocks * filesystem.f_frsize
    summary = f"{_bytes(free)} free of {_bytes(size)} in {SHM}"
    mend = f"mount -o remount,size=2G {SHM}   (in a container: --shm-size=2g), or free some"
    if free < LAB_BYTES + MIB:
        return Check("room for FAM", "fail", f"{summary}: a lab keeps its keys there", mend)
    if free < LAB_BYTES + 256 * MIB:
        summary += ", less than the default FAM of 256 MiB takes"
        if on_disk is None:
            on_disk = fam_location.free_bytes(own_cache())
        if on_disk > free:
            summary += f": a larger one is a file on disk, in {own_cache()}, with {_bytes(on_disk)} free"
        mend = f"{mend}; or a smaller fam=, or fam_path= on another file system"
        return Check("room for FAM", "warn", summary, mend)
    return Check("room for FAM", "ok", f"{summary}; the file is sparse and takes what is touched")


def room_for_nodes(available: int | None = None) -> Check:
    """Judge the memory left for nodes: the host's, and that of the control group around us.

    Parameters
    ----------
    available : int, optional
        Bytes; by default read from the host.
    """
    where = "available"
    if available is None:
        available = psutil.virtual_memory().available
        headroom = _cgroup_left()
        if headroom is not None and headroom < available:
            available, where = headroom, "left in this control group (memory.max)"
    nodes = available // NODE_BYTES
    summary = f"{_bytes(available)} {where}: about {min(nodes, 40)} nodes of the default size"
    mend = "end what takes the memory, or raise the limit"
    if nodes < 1:
        return Check("room for nodes", "fail", summary, mend)
    return Check("room for nodes", "warn" if nodes < 2 else "ok", summary, mend if nodes < 2 else "")


def open_files(soft: int | None = None) -> Check:
    """Judge RLIMIT_NOFILE: a node takes a few descriptors here and some thirty in its QEMU."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if soft is None else soft
    if limit == resource.RLIM_INFINITY or limit >= 512:
        return Check("open files", "ok", f"at most {_limit(limit)} (RLIMIT_NOFILE)")
    return Check(
        "open files", "fail" if limit < 64 else "warn", f"at most {limit} (RLIMIT_NOFILE)", "ulimit -n 1024"
    )


def locked_memory() -> Check:
    """Report RLIMIT_MEMLOCK, which labs do not need: they lock no memory."""
    soft = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    return Check("locked memory", "ok", f"at most {_limit(soft, size=True)} (RLIMIT_MEMLOCK); labs lock none")


def address_space(soft: int | None = None) -> Check:
    """Judge RLIMIT_AS: QEMU, and numpy here, map all of FAM."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0] if soft is None else soft
    if limit == resource.RLIM_INFINITY:
        return Check("address space", "ok", "not limited (RLIMIT_AS)")
    return Check(
        "address space",
        "warn",
        f"at most {_limit(limit, size=True)} (RLIMIT_AS): FAM is mapped as a whole",
        "ulimit -v unlimited",
    )


def cores() -> Check:
    """Count the cores that we may use."""
    count = len(os.sched_getaffinity(0))
    plural = "" if count == 1 else "s"
    return Check("cores", "ok", f"{count}: as many node{plural} boot{'s' if count == 1 else ''} at a time")


def guest_image() -> Check:
    """Return whether the guest image is built."""
    from fame_lab.guest.images import appliance  # it takes the cryptography package, which takes its time

    try:
        image = appliance.cached()
    except ImageError as error:
        return Check("guest image", "fail", str(error), "make setup")
    if image is None:
        return Check(
            "guest image",
            "warn",
            f"not in {own_cache()} yet: the first lab builds it, which takes the network and a minute",
            "make setup",
        )
    size = image.kernel.stat().st_size + image.initrd.stat().st_size
    return Check(
        "guest image", "ok", f"Linux {image.kernel_release}, {_bytes(size)}, in {image.kernel.parent}"
    )


def disk_images() -> Check:
    """Return whether Debian disk images can be built and booted; the appliance does without."""
    from fame_lab.guest.images import debian_build

    if lacking := debian_build.missing():
        mend = f"apt-get install --no-install-recommends {' '.join(lacking)}, or `make setup`"
        return Check("disk images", "warn", f"image='debian' lacks {', '.join(lacking)}", mend)
    return Check("disk images", "ok", "can be built")


def apparmor(path: Path | None = None) -> Check:
    """Return whether AppArmor is on; nodes run outside its profiles, which do not know FAM."""
    on = host_apparmor.is_on() if path is None else host_apparmor.is_on(path)
    return Check("AppArmor", "ok", "on; nodes run without a profile, for none knows of FAM" if on else "off")


def _cgroup_left(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """Return the bytes left under the tightest memory.max (cgroup v2) around us; None if none is set."""
    try:
        line = next(line for line in own.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        return None
    group = root / line.removeprefix("0::").lstrip("/")
    headroom = []
    while group.is_relative_to(root):
        try:
            limit = (group / "memory.max").read_text().strip()
            if limit != "max":
                headroom.append(max(0, int(limit) - int((group / "memory.current").read_text())))
        except OSError:
            pass  # the root has none, and a container shows a part of the tree only
        group = group.parent
    return min(headroom, default=None)


def _bytes(size: int) -> str:
    for unit, shift in (("TiB", 40), ("GiB", 30), ("MiB", 20)):
        if size >= 1 << shift:
            return f"{size / (1 << shift):.3g} {unit}"
    return f"{size} bytes"


def _limit(value: int, *, size: bool = False) -> str:
    if value == resource.RLIM_INFINITY:
        return "any number" if not size else "any amount"
    return _bytes(value) if size else str(value)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
