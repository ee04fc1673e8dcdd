"""The kernel's environment: which notebook it serves, for a person or for a report."""

from __future__ import annotations

import hashlib
import os

__all__ = ["RUN_VARIABLE", "this_notebook"]

#: A report sets it for its notebook, so that the labs left behind can be told from a person's.
RUN_VARIABLE = "FAME_LAB_RUN"

#: Set by Jupyter's server for each kernel: the path of the notebook. A restart keeps it.
_SESSION = "JPY_SESSION_NAME"


def this_notebook() -> str:
    """Return a token of the notebook, by which it finds its lab after a restart; empty where there is none.

    The token is kept with the lab. A path would tell others where a user's notebooks lie.
    """
    path = os.environ.get(_SESSION, "")
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16] if path else ""
