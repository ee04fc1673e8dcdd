"""The data of a comparison."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fame_lab.experiments.compare.manifest_diff import Difference
from fame_lab.experiments.compare.verdicts import Row

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ComparisonData"]


@dataclass(frozen=True, eq=False, repr=False)
class ComparisonData:
    """What two measurements, or two reports, say of the same things.

    Parameters
    ----------
    a, b : str
        What is compared, by name.
    differs : tuple of Difference
        What differs in how they were made: hosts, accelerators, effective mappings, image, versions, spec,
        parameters, notebooks, in that order.
    only : dict of str to tuple of str
        By the side, ``"a"`` or ``"b"``, what it alone has: results, quantities, labels.
    rows : tuple of Row
        What each quantity came to at each place that both have.
    host_cpu_wait : tuple of float
        Of a and of b, the largest share of the time in which programs of the host waited for a CPU; NaN if
        unknown.
    kinds : tuple of str
        What kinds of numbers they are, and what they are not.
    manifests : tuple of dict
        Of all that is compared.
    """

    a: str
    b: str
    differs: tuple[Difference, ...]
    only: Mapping[str, tuple[str, ...]]
    rows: tuple[Row, ...]
    host_cpu_wait: tuple[float, float]
    kinds: tuple[str, ...]
    manifests: tuple[dict[str, Any], ...]

    @property
    def verdicts(self) -> dict[str, int]:
        """How many rows agree, differ, or have too few batches to tell."""
        found = Counter(row.verdict for row in self.rows)
        return {verdict: found[verdict] for verdict in ("agrees", "differs", "too few")}

    @property
    def agrees(self) -> bool:
        """Whether both have the same things, and nothing differs that there were enough batches to tell of.

        What differs in how they were made does not enter: see :attr:`differs`.
        """
        return not any(self.only.values()) and not self.verdicts["differs"] and bool(self.verdicts["agrees"])

    @cached_property
    def table(self) -> pd.DataFrame:
        """Each :class:`fame_lab.experiments.compare.verdicts.Row`, with ``at`` in words.

        ``attrs`` has the differences in how the two were made.
        """
        import pandas as pd  # heavy, and for those who want a table

        columns = list(Row.__dataclass_fields__)
        told = [[row.place if name == "at" else getattr(row, name) for name in columns] for row in self.rows]
        table = pd.DataFrame(told, columns=columns)
        table.attrs = {"a": self.a, "b": self.b, "differs": [each.to_dict() for each in self.differs]}
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as values that JSON can hold."""
        told = {
            "a": self.a,
            "b": self.b,
            "kinds": list(self.kinds),
            "differs": [each.to_dict() for each in self.differs],
            "only": {which: list(names) for which, names in self.only.items()},
            "agrees": self.agrees,
            "verdicts": self.verdicts,
            "host_cpu_wait": list(self.host_cpu_wait),
            "rows": [row.to_dict() for row in self.rows],
        }
        return dict(_told(told))


def _told(value: Any) -> Any:
    """Return it as JSON can hold it, which has no word for what is no number."""
    if isinstance(value, dict):
        return {str(key): _told(held) for key, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [_told(held) for held in value]
    if isinstance(value, float):
        return None if math.isnan(value) else str(value) if math.isinf(value) else value
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
