"""Create the resources of a lab before its nodes, and remove them if that fails."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil

from fame_lab.core.kernel_env import RUN_VARIABLE, this_notebook
from fame_lab.core.lab_directory import LabDirectory
from fame_lab.core.sizes import format_size
from fame_lab.errors import HostError, LabError
from fame_lab.guest.images import appliance, catalog
from fame_lab.guest.images.base import Image
from fame_lab.guest.ssh.keys import LabKeys
from fame_lab.host import accelerator as accel
from fame_lab.host import file_access, qemu, qemu_cache, trace_plugin
from fame_lab.host.accelerator import Accelerator
from fame_lab.host.fam import Fam
from fame_lab.host.libvirt import domain
from fame_lab.host.libvirt.connection import Libvirt, emulator, kvm_refusal, qemu_user
from fame_lab.host.libvirt.emulator import check_emulator
from fame_lab.host.qemu import Qemu
from fame_lab.host.qemu_user import QemuUser
from fame_lab.lab import fam_allocation, network
from fame_lab.lab.context import LabContext
from fame_lab.lab.ownership import Ownership, owner_state
from fame_lab.lab.reaper import in_progress
from fame_lab.lab.teardown import tear_down
from fame_lab.spec.lab_spec import LabSpec

if TYPE_CHECKING:
    from libvirt import virConnect

__all__ = ["provisioned"]


@contextlib.contextmanager
def provisioned(spec: LabSpec, tell: Callable[[str], None]) -> Iterator[LabContext]:
    """Make what a lab stands on: image, accelerator, directory, keys, FAM.

    Nothing is left, domains included, if this or the block fails. In it the lab's directory is held, which
    tells a lab that is starting from one that was killed.

    Parameters
    ----------
    spec : LabSpec
    tell : callable
        Told in a few words what goes on.

    Raises
    ------
    SpecError
        If FAM cannot be of that size here.
    LabError
        If a lab of that name is there.
    HostError
        If this host lacks something.
    """
    libvirt = Libvirt()
    connection = libvirt.connection
    user = qemu_user(connection)
    taken = domain.labs(connection)
    if spec.name in taken:
        directory = LabDirectory.of(spec.name)
        killed = ", whose owner was killed," if owner_state(directory) == "orphaned" else ""
        raise LabError(
            f"a lab named {spec.name!r}{killed} is running: choose another name, "
            f"use Lab.attach({spec.name!r}), or end it with `fame-lab down {spec.name}`"
        )
    network.of(spec).check(connection)
    runs_in = _qemu_of(connection, spec, user, tell)
    image = catalog.get(str(spec.image), tell)
    catalog.check_memory(image, spec)
    if spec.memory_size > (whole := psutil.virtual_memory().total):
        raise HostError(
            f"memory is {format_size(spec.memory_size)} for each node, and this host has "
            f"{format_size(whole >> 20 << 20)}: give less"
        )
    tell("choosing the accelerator")
    if spec.trace:
        trace_plugin.interface(runs_in, user)
        accelerator = replace(accel.choose("tcg"), reason="trace=True: only TCG can count accesses")
    else:
        # The trial of KVM boots the appliance, whatever the nodes boot.
        tried = appliance.ensure(tell) if spec.accel != "tcg" else None
        accelerator = accel.choose(
            spec.accel,
            tried,
            qemu_user=user,
            qemu=runs_in.path,
            refused=lambda: kvm_refusal(connection, str(runs_in.path)),
            on_stage=tell,
        )
    accelerator.check_addressable(spec.fam_size)
    directory = LabDirectory.of(spec.name)
    with directory.create_locked(user.gid if user else None), in_progress(directory):
        context: LabContext | None = None
        try:
            context = _create_resources(
                libvirt, spec, directory, accelerator, image, user, runs_in, taken, tell
            )
            yield context
        except BaseException:
            tear_down(libvirt.connection, spec.name)
            if context is not None:
                context.ownership.release()
            raise


def _qemu_of(
    connection: virConnect, spec: LabSpec, user: QemuUser | None, tell: Callable[[str], None]
) -> Qemu:
    """Return the QEMU that the nodes will run in, once it is clear that they can."""
    path = qemu_cache.find(str(spec.qemu), tell)
    found = qemu.read(path or emulator(connection), user)
    if path is not None or spec.trace:
        qemu.check_fit(found, trace=spec.trace, user=user)
    if path is not None:
        check_emulator(connection, path)
    return found


def _create_resources(
    libvirt: Libvirt,
    spec: LabSpec,
    directory: LabDirectory,
    accelerator: Accelerator,
    image: Image,
    user: QemuUser | None,
    runs_in: Qemu,
    taken: dict[str, list[domain.Domain]],
    tell: Callable[[str], None],
) -> LabContext:
    """Put keys and FAM into the lab's directory, and the record that lets others take them away."""
    with contextlib.ExitStack() as undo:
        ownership = Ownership.acquire(directory)
        undo.callback(ownership.release)
        tell("making keys and FAM")
        keys = LabKeys.make(directory, spec.node_names)

        def context_with(fam: Fam) -> LabContext:
            return LabContext(
                libvirt=libvirt,
                spec=spec,
                directory=directory,
                keys=keys,
                fam=fam,
                accelerator=accelerator,
                image=image,
                user=user,
                run=os.environ.get(RUN_VARIABLE, ""),
                notebook=this_notebook(),
                ownership=ownership,
                qemu=runs_in,
            )

        def write_record(fam: Fam) -> None:
            directory.write(directory.record, context_with(fam).metadata_for(0).to_xml().encode())

        context = context_with(fam_allocation.allocate(spec, directory, user, taken, write_record))
        if user is not None:
            file_access.check_readable(image.files, user)
        context.network.make(libvirt.connection, directory)
        undo.pop_all()
    return context
