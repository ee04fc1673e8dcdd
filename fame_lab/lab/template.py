"""The template that a lab's nodes are restored from: one guest, booted as far as all have in common.

It is made anew for each start, without FAM, before any guest has a key or a node's name, and its files are
gone once the lab is up. A node restored from it shares its memory, page by page, until it writes there. It
wakes with new random numbers and the right time (``guest/probe/awake.c``), takes what is its own, and finds
FAM where a cold one has it, by looking at its PCI bus anew (``guest/files/init``).
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

from fame_lab.core.jobs.cancellation import raise_if_cancelled
from fame_lab.core.sizes import format_size
from fame_lab.errors import BootError, HostError
from fame_lab.guest.images.appliance import Appliance
from fame_lab.host.libvirt import migration
from fame_lab.host.libvirt.template_args import MAX_FAM, TemplateFiles
from fame_lab.lab import boot
from fame_lab.lab.start_mode import StartMode

if TYPE_CHECKING:
    from fame_lab.lab.context import LabContext
    from fame_lab.spec.lab_spec import LabSpec

__all__ = ["cold_start_reason", "start_mode"]

log = logging.getLogger(__name__)


@contextlib.contextmanager
def start_mode(
    context: LabContext, *, deadline: float | None, tell: Callable[[str], None]
) -> Iterator[StartMode]:
    """Choose how a lab's nodes start; a template for it exists until the block ends.

    If a lab asked for a template and cannot be restored, its nodes start cold and the reason is logged.

    Parameters
    ----------
    context : LabContext
    deadline : float, optional
        Seconds that the template's boot may take; by default the image says.
    tell : callable
        Called with the current step, in a few words.
    """
    image = context.image
    reason = cold_start_reason(
        context.spec,
        cores=len(os.sched_getaffinity(0)),
        accelerator=context.accelerator.kind,
        image_supports_restore=isinstance(image, Appliance),
        libvirt_passes_fds=migration.is_possible(context.host.libvirt_version),
        room=shutil.disk_usage(context.directory.path).free,
    )
    if reason or not isinstance(image, Appliance):
        if context.spec.start == "template":
            log.warning("%s starts cold: %s", context.spec.name, reason)
        yield StartMode(None, reason)
        return
    tell("making a template")
    with _files(context) as files:
        yield _from_template(context, image, files, deadline or image.deadline)


def _from_template(context: LabContext, image: Appliance, files: TemplateFiles, deadline: float) -> StartMode:
    for _ in range(boot.ATTEMPTS):
        try:
            _make(context, image, files, deadline)
        except (BootError, HostError) as error:
            raise_if_cancelled()
            log.warning("the template of %s did not come up: %s", context.spec.name, error)
        else:
            if context.spec.start == "template":
                return StartMode(files, "a template was asked for")
            return StartMode(files, "it is faster with so many nodes")
    return StartMode(None, "the template did not come up")


def _make(context: LabContext, image: Appliance, files: TemplateFiles, deadline: float) -> None:
    domain = context.create_template(image, files)
    try:
        end = time.monotonic() + deadline
        domain.resume()
        boot.await_ready(context, domain, end, deadline)
        context.host.save(domain, files.state)
    finally:
        context.host.reconnected(domain).destroy()


def cold_start_reason(
    spec: LabSpec,
    *,
    cores: int,
    accelerator: Literal["kvm", "tcg"],
    image_supports_restore: bool,
    libvirt_passes_fds: bool,
    room: int,
) -> str:
    """Return why a lab's nodes start cold; nothing if they are to be restored.

    Parameters
    ----------
    spec : LabSpec
    cores : int
        The host's, which is how many nodes boot at a time.
    accelerator : {"kvm", "tcg"}
    image_supports_restore : bool
        Whether the image can wait to be restored.
    libvirt_passes_fds : bool
        Whether this libvirt hands open files to QEMU.
    room : int
        Bytes free where the template's memory is to lie.
    """
    if spec.start == "cold":
        return "a cold start was asked for"
    if spec.start == "auto" and spec.nodes <= cores:
        # All nodes boot at once then, and are up as soon as a template would be.
        return f"a template pays for more nodes than the host has cores, which are {cores}"
    if spec.start == "auto" and accelerator == "kvm":
        return "a template pays where booting is emulated; under KVM start='template' makes one all the same"
    if not image_supports_restore:
        return "only the appliance knows how to wait for being restored"
    if spec.network != "user":
        return "restored nodes have user-mode networking alone"
    if spec.fam_size > MAX_FAM:
        return f"a restored node has room among its addresses for a FAM of up to {format_size(MAX_FAM)}"
    if not libvirt_passes_fds:
        return "libvirt hands open files to QEMU from 8.2 on, and this one is older"
    if room < spec.memory_size:
        return (
            f"there is room for {format_size(room)}, and a template may take {format_size(spec.memory_size)}"
        )
    return ""


@contextlib.contextmanager
def _files(context: LabContext) -> Iterator[TemplateFiles]:
    directory = context.directory
    files = TemplateFiles(
        memory=directory.path / "template.memory",
        size=context.spec.memory_size,
        state=directory.path / "template.state",
        fam_size=context.spec.fam_size,
    )
    owner = (context.user.uid, context.user.gid) if context.user else None
    try:
        directory.write(files.memory, b"", owner)
        os.truncate(files.memory, files.size)
        yield files
    finally:
        # A restored node keeps its mappings of a deleted file.
        for path in (files.memory, files.state):
            path.unlink(missing_ok=True)
