"""The trace, template and launch tests on the other Debian, with its QEMU and that of its backports."""

import re

import pytest
from debian_tree import debian_tree
from private_host import needs_root

from fame_lab.guest.images import backports

#: By this host's backports, the other release that is supported.
OTHER = {"bookworm-backports": "trixie", "trixie-backports": "bookworm"}
FILES = "tests/vm/test_launch.py tests/vm/test_template_vm.py tests/vm/test_trace_vm.py "
FILES += "tests/vm/test_transactions_vm.py"


@pytest.mark.vm
@pytest.mark.soak
@needs_root
@pytest.mark.timeout(6 * 3600)
def test_what_holds_here_holds_on_the_other_debian_on_both_of_its_qemus() -> None:
    with debian_tree(OTHER[backports.suite()]) as tree:
        done = tree.run(".ci/setup unit")
        assert done.returncode == 0, done.stdout[-5000:]
        done = tree.run(f".venv/bin/pytest -q --timeout=3600 --numprocesses 2 --dist loadfile {FILES}")
    assert done.returncode == 0, done.stdout[-20000:]
    # None of them was skipped.
    assert re.search(r"^[0-9]+ passed in ", done.stdout, re.MULTILINE), done.stdout[-2000:]
