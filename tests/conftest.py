from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from namespace import Namespace, namespace
from repository import ROOT, SUPPORT

from fame_lab import Lab, LabSpec
from fame_lab.core.cache import cache_directory
from fame_lab.errors import HostError
from fame_lab.guest.images import appliance, backports
from fame_lab.host import qemu_cache

if TYPE_CHECKING:
    from jupyter_lab import JupyterLab
    from playwright.sync_api import Browser

    from fame_lab.testing import InMemoryHost

# A shell that starts the tests in the background has them ignore Ctrl-C, and all that they start with them.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy host is no mistake of what is tested.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    """Put the garbage collector off in whoever collects: modules and tests are there to stay."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files that start VMs to the front: the quick ones fill the cores at the end.

    The ring's come last. Two programs that spin want two cores: beside ping-pong's, which are two as well,
    both take several times as long.
    """
    slow = {item.path for item in items if any(map(item.get_closest_marker, ("vm", "browser", "net")))}
    items.sort(key=lambda item: (item.path not in slow, item.path.name == "test_ring.py"))


def pytest_collection_finish() -> None:
    """Keep the garbage collector from what is there before the first test: it would walk it ever again."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Two nodes that all tests share which leave them as they were."""
    with Lab(LabSpec(f"shared-{os.getpid()}", nodes=2, fam="64M"), progress=False) as lab:
        yield lab


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that takes `qemu` on the host's, and in `make soak` on the newer one too.

    A few, marked ``newer_qemu``, run on both in `make test`.
    """
    own = any("qemu" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "qemu" in metafunc.fixturenames and not own:
        in_test = metafunc.definition.get_closest_marker("newer_qemu") is not None
        newer = pytest.param("backports", marks=[] if in_test else pytest.mark.soak)
        metafunc.parametrize("qemu", ["auto", newer], indirect=True, scope="session")


@pytest.fixture(scope="session")
def qemu(request: pytest.FixtureRequest) -> str:
    """What a LabSpec is given as its `qemu`: the host's own, or that of :func:`newer_qemu`."""
    if request.param != "auto":
        request.getfixturevalue("newer_qemu")
    return str(request.param)


@pytest.fixture(scope="session")
def newer_qemu() -> Path:
    """The QEMU of this Debian's backports, in the cache: 10.0 on Debian 12, 11.1 on 13."""
    try:
        backports.suite()
    except HostError as error:  # no Debian
        pytest.skip(str(error))
    return qemu_cache.ensure().qemu.path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InMemoryHost:
    """A machine in memory, of two cores. Its labs' files lie apart, and a boot takes milliseconds."""
    from fame_lab.testing import InMemoryHost

    shm = tmp_path / "shm"
    shm.mkdir()
    monkeypatch.setattr("fame_lab.core.lab_directory.SHM", shm)
    monkeypatch.setattr("fame_lab.lab.boot._POLL_INTERVAL", 0.001)
    monkeypatch.setattr("fame_lab.lab.boot._LOOK_AT_DOMAIN", 0.0)
    monkeypatch.setattr("fame_lab.lab.node._EXIT_NOTICE_SECONDS", 0.01)
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 1})
    return InMemoryHost()


@pytest.fixture(scope="session")
def network_namespace() -> Iterator[Namespace]:
    """A namespace in which bridges can be made that nobody else sees."""
    with namespace() as network:
        yield network


@pytest.fixture
def as_ordinary_user() -> Iterator[Callable[[str], Any]]:
    """Run a Python program as one who is not root, with a home of his own; give the JSON that it prints."""
    if os.geteuid() != 0:
        yield _printed_by
        return
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    appliance.ensure()  # he may not write where it is
    home = Path(tempfile.mkdtemp(prefix="fame_lab-user-"))
    for path in (home, home / "run", home / "cache"):
        path.mkdir(mode=0o700, exist_ok=True)
        os.chown(path, 65534, 65534)
    for kind in ("appliance", "images", "qemu"):
        (home / "cache" / kind).symlink_to(cache_directory() / kind)
    words = [
        # That he may read all is for the sake of a Python in root's home.
        *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
        *(f"--{kind}=-all,+dac_read_search" for kind in ("inh-caps", "ambient-caps", "bounding-set")),
        *("env", f"HOME={home}", f"XDG_RUNTIME_DIR={home / 'run'}", f"XDG_CACHE_HOME={home / 'cache'}"),
        f"FAME_LAB_CACHE={home / 'cache'}",
    ]
    yield lambda program: _printed_by(program, words)
    daemons = [int(pid.read_text()) for pid in (home / "run/libvirt").glob("*.pid")]
    for daemon in daemons:
        os.kill(daemon, signal.SIGTERM)
    end = time.monotonic() + 20  # each takes its own files away, which are not to go under our hands
    while any(Path(f"/proc/{daemon}").exists() for daemon in daemons) and time.monotonic() < end:
        time.sleep(0.05)
    shutil.rmtree(home)


def _printed_by(program: str, words: Sequence[str] = ()) -> Any:
    done = subprocess.run(
        [*words, sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env=os.environ | {"PYTHONPATH": f"{SUPPORT}:{ROOT}"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterLab]:
    """A JupyterLab of this module's own."""
    from jupyter_lab import jupyter_lab, kernels

    directory = tmp_path_factory.mktemp("jupyter")
    with jupyter_lab(directory) as server:
        yield server
    assert kernels(directory) == []


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser without a display."""
    from notebook_page import chromium

    with chromium(tmp_path_factory.mktemp("chromium")) as chrome:
        yield chrome


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: ``$FAME_LAB_SCREENSHOTS``, if you want to look at them."""
    wanted = os.environ.get("FAME_LAB_SCREENSHOTS")
    directory = Path(wanted) if wanted else tmp_path_factory.mktemp("screenshots")
    directory.mkdir(parents=True, exist_ok=True)
    return directory
