"""Checks that may hang, run as a program of their own.

``python -m fame_lab.host.doctor.isolated_check NAME`` runs one check and prints it as JSON.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import libvirt

from fame_lab.errors import FameError, HostError
from fame_lab.host.doctor.diagnosis import Check
from fame_lab.host.libvirt.connection import connect, emulator, kvm_refusal, qemu_user
from fame_lab.host.libvirt.daemons import uri
from fame_lab.host.qemu import dotted

__all__ = ["main"]


def main(name: str, *words: str) -> None:
    """Print the check of that name."""
    looks: dict[str, Callable[..., Check]] = {
        "libvirt": _libvirt,
        "accelerator": _accelerator,
        "qemu": _qemu,
    }
    look = looks[name]
    try:
        check = look(*words)
    except (FameError, libvirt.libvirtError) as error:
        check = Check(name, "fail", str(error), getattr(error, "mend", "") or "make setup")
    sys.stdout.write(json.dumps(asdict(check)))


def _libvirt() -> Check:
    connection = connect()
    number = dotted(connection.getLibVersion())
    kind = "system" if uri().endswith("system") else "session"
    user = qemu_user(connection)
    runs_as = "you" if user is None else f"uid {user.uid}, gid {user.gid}"
    domains = connection.numOfDomains()
    summary = f"{number} at {uri()} (the {kind} daemon); QEMU runs as {runs_as}; domains running: {domains}"
    return Check("libvirt", "ok", summary)


def _accelerator() -> Check:
    from fame_lab.guest.images import appliance  # libvirt's check does without it
    from fame_lab.host import accelerator

    image = appliance.cached()
    if image is None:
        return Check(
            "accelerator",
            "warn",
            "not tried: the trial boots the guest image, which is not built yet",
            "make setup",
        )
    try:
        connection = connect()
        user = qemu_user(connection)
    except HostError:  # libvirt has its own check
        chosen = accelerator.choose("auto", image)
    else:
        chosen = accelerator.choose("auto", image, qemu_user=user, refused=lambda: kvm_refusal(connection))
    return Check("accelerator", "ok", f"{chosen.kind}: {chosen.reason}")


def _qemu(name: str, path: str = "") -> Check:
    from fame_lab.guest.images import appliance
    from fame_lab.host import qemu
    from fame_lab.host.doctor import qemu_trial

    connection, user, program = None, None, Path(path) if path else qemu.of_host()
    with contextlib.suppress(HostError):  # libvirt has its own check
        connection = connect()
        user = qemu_user(connection)
        if not path:
            program = emulator(connection)
    return qemu_trial.look(name, program, image=appliance.cached(), user=user, connection=connection)


if __name__ == "__main__":
    main(*sys.argv[1:])
