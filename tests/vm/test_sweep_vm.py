"""Sweeps on real labs: killed half-way and taken up, here and on a cluster."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from private_host import PrivateHost, needs_root, private_host

from fame_lab import Sweep

pytestmark = [pytest.mark.vm, needs_root]

SWEEP = """
import sys
from fame_lab import LabSpec, sweep
sweep("chase", {"nodes": [1, 2], "stride": [64, 128]}, repeats=2, spec=LabSpec("swept", fam="1M"),
      directory=sys.argv[1], memories="fam", working_sets="16K", orders="random", batches=30)
"""


@pytest.fixture(scope="module")
def host() -> Iterator[PrivateHost]:
    with private_host() as machine:
        yield machine


def points(directory: Path) -> dict[str, int]:
    """Return the points that are done, and the time of each."""
    paths = directory.glob("points/[0-9]*/manifest.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in paths}


def test_a_sweep_killed_half_way_goes_on_without_repeating_and_leaves_no_lab(
    host: PrivateHost, tmp_path: Path
) -> None:
    killed = host.start(SWEEP, str(tmp_path / "sweep"))
    while len(points(tmp_path / "sweep")) < 3:
        assert killed.poll() is None, killed.communicate()[1]
        time.sleep(0.05)
    host.kill(killed)
    (entry,) = json.loads(host.fame_lab("ls", "--json"))
    assert entry["name"].startswith("swept-") and entry["orphan"]
    before = points(tmp_path / "sweep")
    assert 3 <= len(before) < 8
    host.run(SWEEP, str(tmp_path / "sweep"))
    after = points(tmp_path / "sweep")
    assert len(after) == 8 and before.items() <= after.items()
    assert json.loads(host.fame_lab("ls", "--json")) == []
    result = Sweep.load(tmp_path / "sweep")
    assert result.dataset.attrs["missing"] == 0
    assert result.dataset["latency"].notnull().all()
    assert len({manifest["spec"]["name"] for manifest in result.manifests}) >= 4


CLUSTER = """
import json, os, signal, sys, threading, time
from pathlib import Path
from distributed import Client, LocalCluster
from fame_lab import Lab, LabSpec, sweep

def kill_one(client):
    pids = client.run(os.getpid)
    while not list(Path(sys.argv[1]).glob("points/[0-9]*/manifest.json")):
        time.sleep(0.05)
    # One that has a lab.
    time.sleep(1)
    os.kill(sorted(pids.values())[0], signal.SIGKILL)

if __name__ == "__main__":
    with (
        LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None, silence_logs=50) as cluster,
        Client(cluster) as client,
    ):
        killer = threading.Thread(target=kill_one, args=[client])
        killer.start()
        dataset = sweep(
            "chase", {"nodes": [1, 2], "stride": [64, 128]}, repeats=2, spec=LabSpec("dealt", fam="1M"),
            directory=sys.argv[1], cluster=cluster.scheduler_address,
            memories="fam", working_sets="16K", orders="random", batches=30,
        )
        killer.join()
    print(json.dumps([dataset.attrs["errors"], [entry.name for entry in Lab.list()]]))
"""


@pytest.mark.soak  # with stand-ins for labs, test_sweep_dask_cluster kills one too
def test_a_worker_killed_half_way_has_its_points_measured_by_another_and_leaves_no_lab(
    host: PrivateHost, tmp_path: Path
) -> None:
    assert json.loads(host.run(CLUSTER, str(tmp_path / "sweep"))) == ["", []]
    dataset = Sweep.load(tmp_path / "sweep").dataset
    assert set(dataset["host"].values.flat) == {Path("/proc/sys/kernel/hostname").read_text().strip()}
    assert dataset["latency"].notnull().all()
    assert host.processes("qemu-system-x86_64") == []
