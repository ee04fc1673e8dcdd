"""A node's domain while it exists: created, resumed, queried, destroyed."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import libvirt

from fame_lab.errors import BootError, HostError, LabError
from fame_lab.host.libvirt import qemu_log, qemu_monitor
from fame_lab.host.libvirt.connection import libvirt_error
from fame_lab.host.libvirt.domain_xml import domain_name
from fame_lab.host.libvirt.metadata import NodeRecord
from fame_lab.host.libvirt.session_directory import TOO_LONG

__all__ = ["Domain", "State", "create", "find", "labs", "names"]

log = logging.getLogger(__name__)

State = str
_STATES = {
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_BLOCKED: "running",
    libvirt.VIR_DOMAIN_PAUSED: "paused",
    libvirt.VIR_DOMAIN_SHUTDOWN: "stopping",
    libvirt.VIR_DOMAIN_SHUTOFF: "off",
    libvirt.VIR_DOMAIN_CRASHED: "crashed",
}
_GONE = (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID)


@dataclass(frozen=True)
class Domain:
    """One domain of libvirt's.

    Parameters
    ----------
    handle : libvirt.virDomain, optional
        None for a node whose domain is no more.
    record : NodeRecord
        Its metadata.
    """

    handle: libvirt.virDomain | None
    record: NodeRecord

    @property
    def name(self) -> str:
        """Its name in libvirt."""
        return domain_name(self.record.spec.name, self.record.node)

    def reconnected(self, connection: libvirt.virConnect) -> Domain:
        """Return this domain on another connection, for the case that its own is gone."""
        if self.handle is None or self.handle.connect() is connection:
            return self
        try:
            return replace(self, handle=connection.lookupByUUID(self.handle.UUID()))
        except libvirt.libvirtError as error:
            if error.get_error_code() in _GONE:
                return replace(self, handle=None)
            raise libvirt_error(connection, f"libvirt cannot find {self.name}: {error}") from error

    def resume(self) -> None:
        """Resume a paused domain."""
        with self._live_handle("cannot be resumed") as handle:
            handle.resume()

    def state(self) -> State:
        """Return ``running``, ``paused``, ``stopping``, ``off``, ``crashed``, or ``gone``."""
        if self.handle is None:
            return "gone"
        try:
            return _STATES.get(self.handle.state()[0], "unknown")
        except libvirt.libvirtError as error:
            if error.get_error_code() in _GONE:
                return "gone"
            words = f"libvirt cannot tell the state of {self.name}: {error}"
            raise libvirt_error(self.handle.connect(), words) from error

    def pid(self) -> int | None:
        """Return the process of its QEMU from libvirt's file; None where there is none."""
        try:
            return int((_run_directory() / f"{self.name}.pid").read_text())
        except (OSError, ValueError):
            return None

    def ssh_port(self) -> int:
        """Return the port of 127.0.0.1 that QEMU forwards to the node's SSH server."""
        with self._live_handle("does not tell its SSH port") as handle:
            answer = qemu_monitor.ask(handle, "info usernet", qemu_monitor.HUMAN)
        return qemu_monitor.forwarded_port(answer)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stop its CPUs while the block runs, so that each of them calls QEMU's hooks for that."""
        with self._live_handle("cannot be paused") as handle:
            runs = self.state() == "running"
            if runs:
                handle.suspend()
            try:
                yield
            finally:
                if runs:
                    handle.resume()

    def qmp(self, command: str, **arguments: object) -> Any:
        """Return QEMU's answer to a command of its machine protocol, QMP.

        Raises
        ------
        HostError
            If QEMU refuses it.
        BootError
            If QEMU has ended.
        """
        return self._ask(command, arguments)

    def send_fd(self, descriptor: int, name: str) -> None:
        """Pass QEMU an open file, for use by a name, as in ``fd:name``; errors are those of :meth:`qmp`."""
        self._ask("getfd", {"fdname": name}, descriptor)

    def send_fd_as_path(self, descriptor: int) -> int:
        """Pass QEMU an open file, for use by the path ``/dev/fdset/NUMBER``; return NUMBER.

        Its errors are those of :meth:`qmp`.
        """
        return int(self._ask("add-fd", {}, descriptor)["fdset-id"])

    def _ask(self, command: str, arguments: dict[str, object], *files: int) -> Any:
        with self._live_handle(f"does not answer {command}") as handle:
            request = json.dumps({"execute": command, "arguments": arguments})
            return qemu_monitor.qmp_result(qemu_monitor.ask(handle, request, qemu_monitor.MACHINE, *files))

    def fam_address(self, *, with_block: bool) -> int:
        """Return the physical address of FAM's first byte, as QEMU gives addresses to plugins.

        It changes when the guest moves the BAR.

        Parameters
        ----------
        with_block : bool
            Whether this QEMU adds the offset of FAM's block in its own memory to the BAR's address.

        Raises
        ------
        HostError
            If QEMU has no address, as while the BAR is not mapped.
        """
        block: int | None = 0
        if with_block:
            with self._live_handle("does not tell where FAM is") as handle:
                block = qemu_monitor.fam_block(qemu_monitor.ask(handle, "info ramblock", qemu_monitor.HUMAN))
        bar = qemu_monitor.bar2(self.qmp("query-pci"))
        if bar is None or block is None:
            raise HostError(f"{self.name} has no FAM mapped: its BAR2 is at {bar}, its block at {block}")
        return bar + block

    def destroy(self) -> None:
        """End it at once, unless it has ended; remove its log, which lies outside the lab's directory."""
        if self.handle is not None:
            try:
                self.handle.destroy()
            except libvirt.libvirtError as error:
                if error.get_error_code() not in _GONE:
                    words = f"libvirt cannot end {self.name}: {error}"
                    raise libvirt_error(self.handle.connect(), words) from error
        qemu_log.remove(self.name)

    def qemu_log_tail(self) -> str:
        """Return QEMU's own last lines in its log."""
        return qemu_log.tail(self.name)

    def exit_report(self) -> str:
        """Return a sentence: its end, the cause by QEMU's messages, and a remedy."""
        cause = "QEMU said nothing, as if killed, or where no room is left for FAM"
        if qemu_log.powered_off(self.name):
            cause = "it was powered off from within"
        elif words := self.qemu_log_tail():
            cause = f"QEMU said {words!r}"
        end = f"end the lab: `fame-lab down {self.record.spec.name}`"
        return f"its QEMU has ended ({cause}); {self.way_back}, or {end}"

    @property
    def way_back(self) -> str:
        """What to do about a node that has ended or hangs, in a shell and in Python."""
        name, node = self.record.spec.name, self.record.node
        return f"restart it: `fame-lab restart {name} {node}`, or lab.nodes[{self.record.index}].restart()"

    @contextlib.contextmanager
    def _live_handle(self, failing: str) -> Iterator[libvirt.virDomain]:
        """Yield the handle; raise a refusal of libvirt's as an error that says `failing`."""
        if self.handle is None:
            raise BootError(f"{self.record.node} is gone: {self.exit_report()}")
        try:
            yield self.handle
        except libvirt.libvirtError as error:
            if self.state() == "gone":
                raise BootError(f"{self.record.node} is gone: {self.exit_report()}") from error
            words = f"{self.name} {failing}: {error} {self.qemu_log_tail()}".rstrip()
            raise libvirt_error(self.handle.connect(), words) from error


def create(connection: libvirt.virConnect, xml: str, record: NodeRecord) -> Domain:
    """Start a domain that vanishes when it ends, paused.

    Raises
    ------
    LabError
        If one of that name exists.
    HostError
        If libvirt or QEMU refuses, with QEMU's own message.
    DaemonError
        If libvirt's daemon went away meanwhile: the domain may have been started all the same.
    """
    try:
        return Domain(connection.createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED), record)
    except libvirt.libvirtError as error:
        if error.get_error_code() in (libvirt.VIR_ERR_OPERATION_FAILED, libvirt.VIR_ERR_DOM_EXIST):
            raise LabError(
                f"{record.node} of {record.spec.name!r} exists in libvirt already: {error}"
            ) from error
        hint = f"; {TOO_LONG}" if "UNIX socket path" in str(error) else ""
        raise libvirt_error(connection, f"{record.node} cannot be started: {error}{hint}") from error


def find(
    connection: libvirt.virConnect, lab: str | None = None, kind: type[NodeRecord] = NodeRecord
) -> list[Domain]:
    """Find the nodes of one lab, or of all, by their metadata; in order of their numbers.

    With `kind` TemplateRecord, find the templates that nodes are being restored from.
    """
    domains = []
    for handle in _all(connection):
        try:
            text = handle.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, kind.namespace)
        except libvirt.libvirtError as error:
            if error.get_error_code() in (*_GONE, libvirt.VIR_ERR_NO_DOMAIN_METADATA):
                continue  # it is none of ours, or has ended since
            raise libvirt_error(
                connection, f"libvirt cannot tell what {handle.name()} is: {error}"
            ) from error
        try:
            record = kind.from_xml(text)
        except LabError as error:
            # Another version's lab must not block the use of this version's.
            log.warning("%s is left alone: %s", handle.name(), error)
            continue
        if lab is None or record.spec.name == lab:
            domains.append(Domain(handle, record))
    return sorted(domains, key=lambda domain: (domain.record.spec.name, domain.record.index))


def names(connection: libvirt.virConnect, lab: str) -> set[str]:
    """Return the names of a lab's domains, whose metadata may be another version's and unreadable."""
    pattern = re.compile(re.escape(domain_name(lab, "node")) + "[0-9]{2}")
    return {name for handle in _all(connection) if pattern.fullmatch(name := handle.name())}


def _all(connection: libvirt.virConnect) -> list[libvirt.virDomain]:
    try:
        return list(connection.listAllDomains())
    except libvirt.libvirtError as error:
        raise libvirt_error(connection, f"libvirt cannot list its domains: {error}") from error


def labs(connection: libvirt.virConnect) -> dict[str, list[Domain]]:
    """Group all nodes by the lab's name."""
    grouped: dict[str, list[Domain]] = {}
    for domain in find(connection):
        grouped.setdefault(domain.record.spec.name, []).append(domain)
    return grouped


def _run_directory() -> Path:
    """Return the directory of libvirt's files with the processes that it started."""
    if os.geteuid() == 0:
        return Path("/run/libvirt/qemu")
    runtime = os.environ.get("XDG_RUNTIME_DIR") or Path.home() / ".cache"
    return Path(runtime) / "libvirt/qemu/run"
