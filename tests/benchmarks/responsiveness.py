"""How soon a notebook's kernel answers while the panel starts a lab or runs a probe, and while it does not.

A client asks a real kernel for 1 + 1 again and again, and waits for each answer: in pairs of a quiet time and
a start from the panel, so that what else this host does is in both.

    python tests/benchmarks/responsiveness.py --nodes 8 --pairs 3
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from jupyter_client.manager import start_new_kernel

SETUP = """
import fame_lab
from fame_lab import LabSpec
panel = fame_lab.panel()
panel.form.show(LabSpec("responsive", nodes={nodes}, fam="256M"))
"""


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--nodes", type=int, default=8)
    words.add_argument("--pairs", type=int, default=3)
    options = words.parse_args()
    manager, client = start_new_kernel()
    try:
        run(client, SETUP.format(nodes=options.nodes))
        wait_for(client, "panel._snapshot.labs is not None and panel.doctor._task is None")
        quiet: list[float] = []
        starting: list[float] = []
        probing: list[float] = []
        for _ in range(options.pairs):
            quiet += answers(client, lambda began: time.monotonic() > began + 5)
            run(client, "panel.start.click()")
            starting += answers(client, lambda _: value(client, "panel._session.doing") == "''")
            assert value(client, "panel.lab.is_running") == "True"
            run(client, "panel.probes.run.click()")
            probing += answers(client, lambda _: value(client, "panel.probes._task is None") == "True")
            assert value(client, "panel.result.probe") == "'chase'"
            run(client, "panel.stop.click()")
            wait_for(client, "panel.lab is None")
        series = {
            "quiet": quiet,
            f"while {options.nodes} nodes start": starting,
            "while a probe runs and is drawn": probing,
        }
        for name, seconds in series.items():
            times = sorted(1000 * each for each in seconds)
            p99 = times[int(0.99 * (len(times) - 1))]
            over = sum(each > 100 for each in times)
            print(
                f"{name}: n = {len(times)}, median {statistics.median(times):.1f} ms, 99 % {p99:.1f} ms, "
                f"most {times[-1]:.1f} ms, {over} over 100 ms"
            )
        print(f"median, starting to quiet: {statistics.median(starting) / statistics.median(quiet):.2f} x")
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def run(client, code: str) -> None:  # type: ignore[no-untyped-def]
    reply = client.execute_interactive(code, output_hook=lambda _: None, timeout=120)
    assert reply["content"]["status"] == "ok", reply["content"]


def value(client, expression: str) -> str:  # type: ignore[no-untyped-def]
    reply = client.execute_interactive(
        "", user_expressions={"it": expression}, output_hook=lambda _: None, timeout=120
    )
    return str(reply["content"]["user_expressions"]["it"]["data"]["text/plain"])


def wait_for(client, expression: str) -> None:  # type: ignore[no-untyped-def]
    while value(client, expression) != "True":
        time.sleep(0.2)


def answers(client, enough: Callable[[float], bool]) -> list[float]:  # type: ignore[no-untyped-def]
    """Time questions, one every 20 ms, until it is enough."""
    began = looked = time.monotonic()
    seconds = []
    while True:
        start = time.monotonic()
        assert value(client, "1 + 1") == "2"
        seconds.append(time.monotonic() - start)
        time.sleep(0.02)
        if time.monotonic() > looked + 0.5:
            looked = time.monotonic()
            if enough(began):
                return seconds


if __name__ == "__main__":
    main()
