"""The context that the nodes of one lab share on this host."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fame_lab.core.lab_directory import LabDirectory
from fame_lab.core.sanitize import quoted
from fame_lab.errors import DaemonError, LabError
from fame_lab.guest.images import catalog
from fame_lab.guest.images.appliance import Appliance
from fame_lab.guest.images.base import Boot, Image
from fame_lab.guest.ssh.keys import LabKeys
from fame_lab.host import accelerator as accel
from fame_lab.host import trace_plugin, tsc
from fame_lab.host.accelerator import Accelerator
from fame_lab.host.fam import Fam
from fame_lab.host.libvirt.domain import Domain
from fame_lab.host.libvirt.domain_xml import domain_xml
from fame_lab.host.libvirt.metadata import NodeRecord, TemplateRecord
from fame_lab.host.libvirt.nic import Nic
from fame_lab.host.libvirt.template_args import TemplateFiles
from fame_lab.host.qemu import Qemu
from fame_lab.host.qemu_user import QemuUser
from fame_lab.host.trace_plugin import TracePlugin
from fame_lab.lab import console, fam_allocation
from fame_lab.lab.host import Host
from fame_lab.lab.libvirt_host import LibvirtHost
from fame_lab.lab.network import LabNetwork
from fame_lab.lab.ownership import Ownership
from fame_lab.lab.start_mode import StartMode
from fame_lab.spec.lab_spec import LabSpec
from fame_lab.traffic.trace.counter_layout import CounterLayout
from fame_lab.traffic.trace.counters import Counters
from fame_lab.traffic.trace.ring_buffer import AccessRing
from fame_lab.traffic.transactions.directory import LineDirectory
from fame_lab.traffic.transactions.layout import DirectoryLayout

__all__ = ["LabContext", "attach"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabContext:
    """Everything that a lab's nodes share.

    Parameters
    ----------
    host : Host
        What the nodes run on.
    spec : LabSpec
    directory : LabDirectory
    keys : LabKeys
    fam : Fam
    accelerator : Accelerator
    image : Image
        What the nodes boot.
    user : QemuUser, optional
        Whom libvirt runs QEMU as, if not ourselves.
    run : str
        Token of the report run that started the lab; empty for a person's.
    notebook : str
        Token of the notebook that started it; empty for none.
    ownership : Ownership
        This process's hold on the lab.
    qemu : Qemu
        What its first node was started in.
    """

    host: Host
    spec: LabSpec
    directory: LabDirectory
    keys: LabKeys
    fam: Fam
    accelerator: Accelerator
    image: Image
    user: QemuUser | None
    run: str
    notebook: str
    ownership: Ownership
    qemu: Qemu

    @property
    def network(self) -> LabNetwork:
        """How its nodes are connected."""
        return self.host.network(self.spec)

    def metadata_for(self, index: int, start: StartMode | None = None) -> NodeRecord:
        """Describe one node, for its domain's metadata."""
        return NodeRecord(
            spec=self.spec,
            index=index,
            fam_path=str(self.fam.path),
            fam_identity=self.fam.identity,
            fam_created=self.fam.created,
            accelerator=self.accelerator.kind,
            accelerator_reason=self.accelerator.reason,
            image=self.image.digest,
            start="cold" if start is None else start.kind,
            start_reason="" if start is None else start.reason,
            run=self.run,
            notebook=self.notebook,
            qemu=self.qemu,
        )

    def create_domain(self, index: int, start: StartMode) -> Domain:
        """Create one node's domain, paused; restored already if it is from a template.

        Raises
        ------
        HostError
            If FAM is not the file that the other nodes have: QEMU would create a new one.
        DaemonError
            If libvirt's daemon went away meanwhile; nothing is left of the domain then.
        """
        self.fam.check()
        # An upgrade of the host may have put a newer QEMU in its place since the lab was started.
        record = replace(self.metadata_for(index, start), qemu=self.host.qemu_at(self.qemu.path))
        identity = replace(
            self.keys.identity(record.node, self.directory), attachment=self.network.told(index)
        )
        boot = self.image.boot(identity, self.directory, tsc_khz=self._tsc_khz)
        trace = self._trace_plugin(index, record.qemu or self.qemu) if self.spec.trace else None
        nic = self.network.nic(index, self.directory)
        own, template = self.image.personal(identity), start.template
        arguments = template.restored() if template else ()
        domain = self._create(record, boot, own, trace=trace, nic=nic, arguments=arguments)
        try:
            if template is not None:
                self.host.restore(domain, template.state)
        except BaseException:
            self.host.reconnected(domain).destroy()
            raise
        return domain

    def create_template(self, image: Appliance, files: TemplateFiles) -> Domain:
        """Create the domain that nodes are restored from, paused."""
        record = TemplateRecord(**vars(self.metadata_for(0)))
        own = image.personal(self.keys.identity(self.spec.node_names[0], self.directory))
        # Linux remembers the length of each file, which is the same for every node.
        blank = {name: bytes(len(content)) for name, content in own.items()}
        boot = image.template_boot(tsc_khz=self._tsc_khz)
        return self._create(record, boot, blank, arguments=files.made(), fam=False)

    def _create(
        self,
        record: NodeRecord,
        boot: Boot,
        own: Mapping[str, bytes],
        *,
        trace: TracePlugin | None = None,
        nic: Nic | None = None,
        arguments: Sequence[str] = (),
        fam: bool = True,
    ) -> Domain:
        console = self.directory.console(record.node)
        console.unlink(missing_ok=True)
        with self.directory.staged_files(record.node, own, self._owner) as personal:
            xml = domain_xml(
                record,
                boot,
                console=console,
                personal=personal,
                user=self.user,
                models=self.host.security_models(),
                trace=trace,
                arguments=arguments,
                fam=fam,
                card=nic,
            )
            try:
                return self.host.create(xml, record)
            except DaemonError:
                # libvirt may have created it all the same: the next attempt would find the name in use.
                for each in self._domains_of(record.node):
                    each.destroy()
                raise

    def _domains_of(self, node: str) -> list[Domain]:
        of_lab = self.host.find(self.spec.name)
        templates = self.host.find(self.spec.name, TemplateRecord)
        return [each for each in (*of_lab, *templates) if each.record.node == node]

    @property
    def _tsc_khz(self) -> int | None:
        return tsc.khz() if self.accelerator.kind == "tcg" else None

    @property
    def counter_layout(self) -> CounterLayout:
        """The layout of each node's counter file, with a place for every CPU that a domain can have."""
        return CounterLayout(self.spec.fam_size, int(self.spec.book), max(self.spec.vcpus, 2))

    @property
    def directory_layout(self) -> DirectoryLayout:
        """The layout of the lab's line directory."""
        interleaved = self.spec.layout == "interleaved"
        return DirectoryLayout(self.spec.fam_size, int(self.spec.book), self.spec.nodes, interleaved)

    def make_line_directory(self) -> None:
        """Create the line directory that the QEMUs of a traced lab share."""
        LineDirectory.create(self.directory.lines, self.directory_layout, self._owner)

    def _trace_plugin(self, node: int, runs_in: Qemu) -> TracePlugin:
        plugin = trace_plugin.delivered(trace_plugin.interface(runs_in, self.user))
        name = self.spec.node_names[node]
        counters, order = self.directory.counters(name), self.directory.order(name)
        # A node that boots anew counts anew. A recording of its earlier life keeps the old files open.
        for path in (counters, order):
            path.unlink(missing_ok=True)
        Counters.create(counters, self.counter_layout, self._owner)
        AccessRing.create(order, self.counter_layout.vcpus, self._owner)
        return TracePlugin(plugin, counters, order, self.directory.lines, node)

    @property
    def _owner(self) -> tuple[int, int] | None:
        return (self.user.uid, self.user.gid) if self.user else None

    def domains(self) -> list[Domain]:
        """Return every node's domain, in order; one that has ended has no handle."""
        by_index = {each.record.index: each for each in self.host.find(self.spec.name)}
        return [
            by_index.get(index) or Domain(None, self.metadata_for(index)) for index in range(self.spec.nodes)
        ]

    def console(self, node: str, most: int = console.TAIL) -> str:
        """Return the last `most` bytes that a node wrote on its serial line."""
        return self.host.console(self.spec.name, node, most)


def attach(name: str) -> LabContext:
    """Return the context of a running lab, and share its ownership.

    Raises
    ------
    LabError
        If no lab of that name runs, or the image that its nodes booted is not in the cache any more.
    """
    host = LibvirtHost()
    domains = host.find(name)
    if not domains:
        names = ", ".join(sorted(host.labs())) or "none"
        raise LabError(
            f"no lab named {quoted(name)} runs here (running: {names})",
            hint=f"start it with `fame-lab up {name}`, or Lab(spec).start()",
        )
    record = domains[0].record
    directory = LabDirectory.of(name)
    with contextlib.ExitStack() as undo:
        ownership = Ownership.share(directory)
        undo.callback(ownership.release)
        context = LabContext(
            host=host,
            spec=record.spec,
            directory=directory,
            keys=LabKeys.read(directory),
            fam=fam_allocation.from_metadata(record),
            accelerator=replace(accel.choose(record.accelerator), reason=record.accelerator_reason),
            image=catalog.booted_by(str(record.spec.image), record.image),
            user=host.user,
            run=record.run,
            notebook=record.notebook,
            ownership=ownership,
            qemu=record.qemu or host.default_qemu(),
        )
        undo.pop_all()
    return context
