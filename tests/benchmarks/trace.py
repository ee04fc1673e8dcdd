"""What tracing costs a node, against one without the plugin, and against QEMU's own hot-pages plugin.

    PYTHONPATH=tests/support python tests/benchmarks/trace.py [--rounds 5] [--qemu backports]
        [--hotpages PLUGIN]

PLUGIN is QEMU's contributed plugin hotpages.so, compiled by whoever runs this. Work is interleaved: each
round does it once in each state. What is measured is the processor time of the node's QEMU, which the load of
others disturbs less than it does the time. Aims, on each QEMU: before the first recording and between
recordings 1.1 x; while recording, at most 0.6 x of the time that hot-pages adds.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

from guest_program import compiled
from leftovers import processor_seconds, qemu_processes

from fame_lab import Lab, LabSpec
from fame_lab.host.libvirt import domain_xml
from fame_lab.host.qemu import dotted
from fame_lab.lab import context

WORK = {
    "shell loop": "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done",
    "FAM loop": "/tmp/fam_loop 200",
    "processes": "for i in $(seq 100); do /bin/busybox true; done",
}
Times = dict[str, dict[str, list[float]]]


@contextlib.contextmanager
def started(
    name: str, program: Path, qemu: str, *, trace: bool = False, plugin: Path | None = None
) -> Iterator[Lab]:
    real = domain_xml.domain_xml

    def with_plugin(*arguments: object, **words: object) -> str:
        domain = ElementTree.fromstring(real(*arguments, **words))  # type: ignore[arg-type] # noqa: S314
        commandline = domain.find(f"{{{domain_xml.QEMU_NAMESPACE}}}commandline")
        assert commandline is not None
        for argument in ("-plugin", str(plugin)):
            ElementTree.SubElement(commandline, f"{{{domain_xml.QEMU_NAMESPACE}}}arg", value=argument)
        return ElementTree.tostring(domain, encoding="unicode")

    patched = mock.patch.object(context, "domain_xml", with_plugin if plugin else real)
    lab = Lab(LabSpec(name, nodes=1, fam="64M", trace=trace, accel="tcg", qemu=qemu), progress=False)
    with patched:
        lab.start()
    try:
        lab.nodes[0].put(program, "/tmp/fam_loop", mode=0o755)
        yield lab
    finally:
        lab.stop()


def seconds(lab: Lab, command: str) -> float:
    """Run a command; return the seconds of processor time that the node's QEMU took for it."""
    pid = lab.nodes[0].domain.pid()
    assert pid is not None
    start = processor_seconds(pid)
    lab.nodes[0].run(command)
    return processor_seconds(pid) - start


def rounds(count: int, states: dict[str, Lab]) -> Times:
    results: Times = {what: {state: [] for state in states} for what in WORK}
    for number in range(count):
        order = list(states)
        for state in order[number % len(order) :] + order[: number % len(order)]:
            for what, command in WORK.items():
                results[what][state].append(seconds(states[state], command))
    return results


def show(results: Times, base: str) -> None:
    for what, states in results.items():
        for state, times in states.items():
            ratio = statistics.median(a / b for a, b in zip(times, states[base], strict=True))
            print(
                f"{what}: {state}: {ratio:.2f} x {base} (median {statistics.median(times):.2f} s)", flush=True
            )


def boots(count: int, qemu: str) -> None:
    results: dict[bool, list[float]] = {False: [], True: []}
    for number in range(count):
        for trace in (False, True) if number % 2 else (True, False):
            spec = LabSpec("bench-boot", nodes=1, fam="64M", trace=trace, accel="tcg", qemu=qemu)
            lab = Lab(spec, progress=False)
            try:
                lab.start()
                results[trace].append(sum(map(processor_seconds, qemu_processes(spec.name))))
            finally:
                lab.stop()
    ratio = statistics.median(a / b for a, b in zip(results[True], results[False], strict=True))
    print(f"boot: before the first recording: {ratio:.2f} x no plugin ({count} pairs)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--qemu", default="auto")
    parser.add_argument("--hotpages", type=Path)
    chosen = parser.parse_args()
    boots(chosen.rounds, chosen.qemu)
    with contextlib.ExitStack() as stack:
        program = compiled("fam_loop", Path(stack.enter_context(tempfile.TemporaryDirectory())))
        plain = stack.enter_context(started("bench-plain", program, chosen.qemu))
        traced = stack.enter_context(started("bench-traced", program, chosen.qemu, trace=True))
        print(f"QEMU {dotted(traced.qemu_version)}", flush=True)
        show(
            rounds(
                chosen.rounds,
                {"no plugin": plain, "before the first recording": traced},
            ),
            "no plugin",
        )
        with traced.record():
            pass

        states = {"no plugin": plain, "between recordings": traced}
        show(rounds(chosen.rounds, states), "no plugin")
        states = {"no plugin": plain, "while recording": traced}
        if chosen.hotpages:
            hot = stack.enter_context(started("bench-hot", program, chosen.qemu, plugin=chosen.hotpages))
            states["hot-pages"] = hot
        with traced.record():
            results = rounds(chosen.rounds, states)
        show(results, "no plugin")
        if chosen.hotpages:
            for what, times in results.items():
                added = [
                    (mine - none) / (hot - none)
                    for mine, none, hot in zip(
                        times["while recording"], times["no plugin"], times["hot-pages"], strict=True
                    )
                ]
                print(f"{what}: recording adds {statistics.median(added):.2f} x what hot-pages adds")


if __name__ == "__main__":
    main()
