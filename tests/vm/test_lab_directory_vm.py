import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fame_lab.core.cache import cache_directory


@pytest.mark.vm
def test_a_user_of_a_cache_that_root_made_is_warned_of_nothing(
    as_ordinary_user: Callable[[str], Any],
) -> None:
    shared = Path(tempfile.mkdtemp(prefix="fame_lab-cache-"))  # where QEMU comes, too
    for kind in ("appliance", "images"):
        (shared / kind).symlink_to(cache_directory() / kind)
    shared.chmod(0o555)  # as if it were root's, where this user made it
    result = as_ordinary_user(
        f"""
import json, logging, os
os.environ["FAME_LAB_CACHE"] = {str(shared)!r}
os.environ.setdefault("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
records = []
class Kept(logging.Handler):
    def emit(self, record):
        records.append(record.getMessage())
logging.getLogger("fame_lab").addHandler(Kept(logging.WARNING))
from fame_lab import Lab, LabSpec
from fame_lab.core.cache import own_cache
with Lab(LabSpec("rootscache", nodes=1, fam="64M"), progress=False) as lab:
    name = lab.nodes[0].run("hostname").stdout.strip()
print(json.dumps([name, records, str(own_cache()).startswith(os.environ["XDG_CACHE_HOME"])]))
"""
    )
    shared.chmod(0o755)
    shutil.rmtree(shared)
    assert result == ["node01", [], True]
