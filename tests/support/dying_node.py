"""A node that goes away in the middle of a probe."""

import subprocess
import time
from typing import Any

from fame_lab.errors import SSHError
from fame_lab.testing import LocalNode


class DyingNode(LocalNode):
    """A node that goes away as soon as it has told some progress."""

    def probe(self, *arguments: str, **_: Any) -> list[dict[str, Any]]:
        progress = int(arguments[arguments.index("--progress") + 1])
        with (
            subprocess.Popen(self.command(arguments), stdout=subprocess.PIPE) as running,
            self.fam.open("rb", buffering=0) as file,
        ):
            while running.poll() is None and file.seek(progress) and not any(file.read(8)):
                time.sleep(0.001)
            running.kill()
        raise SSHError(f"{self.name} went away during the probe")
