"""The doctor: what this host can do, and how to mend the rest. No step of it hangs.

Each check has a deadline, and the visit goes on when one fails. Programs that have been seen to hang
(libvirtd, a QEMU under a broken KVM) are checked by another process, which unlike a thread can be killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from fame_lab.errors import FameError
from fame_lab.host.doctor import checks
from fame_lab.host.doctor.diagnosis import Ability, Check, Diagnosis, QemuCheck, Verdict

__all__ = ["doctor"]


class _Step(NamedTuple):
    name: str
    look: Callable[[], Check]
    deadline: float = 15.0


def doctor() -> Diagnosis:
    """Check this host's abilities for a lab.

    Returns
    -------
    Diagnosis
        Data that shows itself: a table in a notebook, text on a terminal. ``.can_run`` is whether a lab can
        run here.

    Examples
    --------
    >>> diagnosis = doctor()                         # doctest: +SKIP
    >>> diagnosis.can_run                            # doctest: +SKIP
    True
    """
    return _visit(
        _Step("accelerator", lambda: _apart("accelerator", 60), 65),
        _Step("/dev/kvm", checks.kvm_device),
        _Step("libvirt", lambda: _apart("libvirt", 30), 35),
        *_qemus(),
        _Step("network", checks.lab_network),
        _Step("guest image", checks.guest_image),
        _Step("disk images", checks.disk_images),
        _Step("room for FAM", checks.room_for_fam),
        _Step("room for nodes", checks.room_for_nodes),
        _Step("cores", checks.cores),
        _Step("open files", checks.open_files),
        _Step("locked memory", checks.locked_memory),
        _Step("address space", checks.address_space),
        _Step("AppArmor", checks.apparmor),
    )


def _visit(*steps: _Step) -> Diagnosis:
    """Take the steps side by side; one that misses its deadline is reported and abandoned."""
    results: dict[str, Check] = {}

    def take(step: _Step) -> None:
        try:
            results[step.name] = step.look()
        except (FameError, OSError, ValueError, ImportError, subprocess.SubprocessError) as error:
            results[step.name] = Check(step.name, "fail", f"could not be looked at: {error}")

    threads = [threading.Thread(target=take, args=[step], name=step.name, daemon=True) for step in steps]
    for thread in threads:
        thread.start()
    for step, thread in zip(steps, threads, strict=True):
        thread.join(step.deadline)
    return Diagnosis(
        tuple(
            results.get(step.name) or Check(step.name, "fail", f"no answer within {step.deadline:.0f} s")
            for step in steps
        )
    )


def _qemus() -> list[_Step]:
    """Return a step for the host's QEMU, and one for each in the cache."""
    from fame_lab.host import qemu_cache

    steps = [_qemu("QEMU", "auto", "")]
    current = qemu_cache.current()
    for each in qemu_cache.cached():
        name = each.name if each == current else f"{each.name} {each.digest[:12]}"
        steps.append(_qemu(f"QEMU {name}", name, str(each.qemu.path)))
    return steps


def _qemu(label: str, name: str, path: str) -> _Step:
    def look() -> Check:
        check = _apart("qemu", 100, name, path)
        return check if isinstance(check, QemuCheck) else replace(check, name=label)

    return _Step(label, look, 105)


def _apart(name: str, deadline: float, *words: str) -> Check:
    """Run a check in another process, and kill it with all that it started when its time is up."""
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "fame_lab.host.doctor.isolated_check", name, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = child.communicate(timeout=deadline)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        return Check(name, "fail", f"no answer within {deadline:.0f} s", _HUNG.get(name, ""))
    if child.returncode:
        lines = errors.strip().splitlines()[-1:] or [f"status {child.returncode}"]
        return Check(name, "fail", f"could not be looked at: {lines[0]}", "make setup")
    answer = json.loads(output)
    if "abilities" in answer:
        answer["abilities"] = tuple(Ability(**each) for each in answer["abilities"])
        return QemuCheck(**answer)
    verdict: Verdict = answer["verdict"]
    return Check(name, verdict, answer["found"], answer["mend"])


_HUNG = {
    "libvirt": "see what libvirtd is doing; as root without systemd: end its process, a lab starts it anew",
    "qemu": "see what it is doing; `fame-lab qemu rm` takes one of the cache away",
    "accelerator": "give accel='tcg', which needs no look at KVM",
}
