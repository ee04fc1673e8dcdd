"""Old names of modules, classes and functions: they are found for one release, with a DeprecationWarning."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["MOVED", "install", "renamed"]

#: Modules that notebooks and documents named, by the old name.
MOVED = {
    "fame_lab.native": "fame_lab.core.native",
    "fame_lab.progress": "fame_lab.core.jobs.progress",
    "fame_lab.traffic.beside": "fame_lab.traffic.plots.side_by_side",
    "fame_lab.traffic.order_plot": "fame_lab.traffic.plots.access_order",
    "fame_lab.vitals": "fame_lab.lab.node_stats",
}


class _Finder(MetaPathFinder, Loader):
    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - the import system gives it
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        new = MOVED[module.__name__]
        warnings.warn(f"{module.__name__} is {new} now", DeprecationWarning, stacklevel=2)
        # The import returns the entry of sys.modules when this ends.
        sys.modules[module.__name__] = importlib.import_module(new)


def install() -> None:
    """Install the finder of modules by their old names."""
    if not any(isinstance(each, _Finder) for each in sys.meta_path):
        sys.meta_path.append(_Finder())


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a ``__getattr__`` for a module, some names of which have changed.

    Parameters
    ----------
    module : str
        Name of the module.
    names : mapping of str to str
        New name by the old one.
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(f"{module}.{name} is {names[name]} now", DeprecationWarning, stacklevel=2)
        return getattr(sys.modules[module], names[name])

    return find
