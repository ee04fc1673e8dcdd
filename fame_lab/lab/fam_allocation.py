"""FAM's file as a lab takes it, made or found, and gives it back."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from fame_lab.core.lab_directory import LabDirectory
from fame_lab.errors import FameError, LabError
from fame_lab.host import fam_location, file_access
from fame_lab.host.fam import Fam
from fame_lab.host.libvirt.domain import Domain
from fame_lab.host.libvirt.metadata import NodeRecord
from fame_lab.host.qemu_user import QemuUser
from fame_lab.spec.fam_layout import CONTROL_SIZE
from fame_lab.spec.lab_spec import LabSpec

__all__ = ["allocate", "from_metadata", "release"]

log = logging.getLogger(__name__)


def allocate(
    spec: LabSpec,
    directory: LabDirectory,
    user: QemuUser | None,
    labs: dict[str, list[Domain]],
    announce: Callable[[Fam], None],
) -> Fam:
    """Create FAM's file, or use an existing one as it is.

    `announce` gets the FAM before anything is changed, so that a failure can undo it.

    Raises
    ------
    SpecError
        If a file that is there has another size.
    LabError
        If it is a running lab's.
    HostError
        If it cannot be made, or QEMU's user cannot reach it.
    """
    path = spec.fam_path or fam_location.choose(spec, directory)
    if spec.fam_path is None or not path.exists():
        fam = Fam.create(path, spec.fam_size, announce)
        if user is not None:
            os.chown(path, user.uid, user.gid, follow_symlinks=False)
            file_access.check_writable(path, user)
        return fam
    fam = Fam.existing(path, spec.fam_size)
    for name, domains in labs.items():
        if domains[0].record.fam_identity == fam.identity:
            raise LabError(
                f"{path} is the FAM of the running lab {name!r}: two labs cannot share one control area"
            )
    announce(fam)
    if user is not None:
        file_access.grant(path, user, directory.saved_acl)
    directory.write(directory.saved_control_area, fam.read(fam.control.offset, CONTROL_SIZE))
    fam.write(fam.control.offset, bytes(CONTROL_SIZE), control=True)
    return fam


def release(fam: Fam, directory: LabDirectory) -> None:
    """Delete the file if the lab created it; otherwise restore what the lab changed."""
    if fam.created:
        fam.remove()
        return
    try:
        if directory.saved_control_area.exists():
            fam.write(fam.control.offset, directory.saved_control_area.read_bytes(), control=True)
        file_access.restore(directory.saved_acl)
    except FameError as error:
        log.warning("%s was not put back as it was: %s", fam.path, error)


def from_metadata(record: NodeRecord) -> Fam:
    """Return the FAM that a running node has."""
    return Fam(Path(record.fam_path), record.spec.fam_size, record.fam_created, record.fam_identity)
