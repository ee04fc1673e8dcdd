"""Calls into a layer above, by name: as `lab.panel()` calls the panel.

It is loaded when it is called, and none of these modules is named anywhere else below it.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["load"]

_PLACES = {
    "boot": "fame_lab.lab.boot",
    "domain_import": "fame_lab.host.libvirt.domain_import",
    "export": "fame_lab.lab.export",
    "export_folder": "fame_lab.lab.export_folder",
    "live_view": "fame_lab.notebook.live_view",
    "panel": "fame_lab.notebook.panel",
    "probes": "fame_lab.probes",
    "projection_plot": "fame_lab.traffic.plots.projection",
    "spec_html": "fame_lab.spec.spec_html",
    "toml": "fame_lab.spec.toml",
}


def load(name: str) -> Any:
    """Return the module of that name, imported now."""
    return importlib.import_module(_PLACES[name])
