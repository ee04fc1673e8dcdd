"""Create the resources of a lab before its nodes, and remove them if that fails."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

import psutil

from fame_lab.core.kernel_env import RUN_VARIABLE, this_notebook
from fame_lab.core.lab_directory import LabDirectory
from fame_lab.core.sizes import format_size
from fame_lab.errors import HostError, LabError
from fame_lab.guest.images import catalog
from fame_lab.guest.images.base import Image
from fame_lab.guest.ssh.keys import LabKeys
from fame_lab.host import file_access
from fame_lab.host.accelerator import Accelerator
from fame_lab.host.fam import Fam
from fame_lab.host.libvirt.domain import Domain
from fame_lab.host.qemu import Qemu
from fame_lab.lab import fam_allocation
from fame_lab.lab.context import LabContext
from fame_lab.lab.host import Host
from fame_lab.lab.libvirt_host import LibvirtHost
from fame_lab.lab.ownership import Ownership, owner_state
from fame_lab.lab.reaper import in_progress
from fame_lab.lab.teardown import tear_down
from fame_lab.spec.lab_spec import LabSpec

__all__ = ["provisioned"]


@contextlib.contextmanager
def provisioned(
    spec: LabSpec, tell: Callable[[str], None], connect: Callable[[], Host] = LibvirtHost
) -> Iterator[LabContext]:
    """Create the resources of a lab: image, accelerator, directory, keys, FAM.

    Nothing is left, domains included, if this or the block fails. The block holds the lock of the lab's
    directory, which distinguishes a lab that is starting from one that was killed.

    Parameters
    ----------
    spec : LabSpec
    tell : callable
        Called with the current step, in a few words.
    connect : callable
        Opens the way to the machine that the nodes are to run on.

    Raises
    ------
    SpecError
        If FAM cannot be of that size here.
    LabError
        If a lab of that name is there.
    HostError
        If this host lacks something.
    """
    host = connect()
    user = host.user
    labs = host.labs()
    if spec.name in labs:
        directory = LabDirectory.of(spec.name)
        fate = ", whose owner was killed," if owner_state(directory) == "orphaned" else ""
        raise LabError(
            f"a lab named {spec.name!r}{fate} is running",
            hint=(
                f"choose another name, use it as it is (in Python, Lab.attach({spec.name!r})), "
                f"or end it with `fame-lab down {spec.name}`"
            ),
        )
    host.network(spec).check()
    qemu = host.qemu(spec, tell)
    image = host.image(str(spec.image), tell)
    catalog.check_memory(image, spec)
    if spec.memory_size > (total := psutil.virtual_memory().total):
        raise HostError(
            f"memory is {format_size(spec.memory_size)} for each node, and this host has "
            f"{format_size(total >> 20 << 20)}",
            hint="give less",
        )
    tell("choosing the accelerator")
    accelerator = host.accelerator(spec, qemu, tell)
    accelerator.check_addressable(spec.fam_size)
    directory = LabDirectory.of(spec.name)
    with directory.create_locked(user.gid if user else None), in_progress(directory):
        context: LabContext | None = None
        try:
            context = _create_resources(host, spec, directory, accelerator, image, qemu, labs, tell)
            yield context
        except BaseException:
            tear_down(host, spec.name)
            if context is not None:
                context.ownership.release()
            raise


def _create_resources(
    host: Host,
    spec: LabSpec,
    directory: LabDirectory,
    accelerator: Accelerator,
    image: Image,
    qemu: Qemu,
    labs: dict[str, list[Domain]],
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
                host=host,
                spec=spec,
                directory=directory,
                keys=keys,
                fam=fam,
                accelerator=accelerator,
                image=image,
                user=host.user,
                run=os.environ.get(RUN_VARIABLE, ""),
                notebook=this_notebook(),
                ownership=ownership,
                qemu=qemu,
            )

        def write_record(fam: Fam) -> None:
            directory.write(directory.record, context_with(fam).metadata_for(0).to_xml().encode())

        context = context_with(fam_allocation.allocate(spec, directory, host.user, labs, write_record))
        if spec.trace:
            context.make_line_directory()
        if host.user is not None:
            file_access.check_readable(image.files, host.user)
        context.network.make(directory)
        undo.pop_all()
    return context
