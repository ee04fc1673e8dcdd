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
    """Two measurements, or two reports, compared.

    Parameters
    ----------
    a, b : str
        Their names.
    differs : tuple of Difference
        The differences of their manifests: hosts, accelerators, effective mappings, image, versions, spec,
        parameters, notebooks, in that order.
    only : dict of str to tuple of str
        By the side, ``"a"`` or ``"b"``: results, quantities and labels that it alone has.
    rows : tuple of Row
        Each quantity at each place that both have.
    host_cpu_wait : tuple of float
        Of a and of b, the largest share of the time in which programs of the host waited for a CPU; NaN if
        unknown.
    kinds : tuple of str
        The kinds of their numbers, each with its caveat.
    manifests : tuple of dict
        The manifests of all compared measurements.
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
        """The numbers of rows that agree, differ, or have too few batches to tell."""
        counts = Counter(row.verdict for row in self.rows)
        return {verdict: counts[verdict] for verdict in ("agrees", "differs", "too few")}

    @property
    def agrees(self) -> bool:
        """Whether both have the same quantities, some agree, and none differs.

        Differences of the manifests do not count: see :attr:`differs`.
        """
        return not any(self.only.values()) and not self.verdicts["differs"] and bool(self.verdicts["agrees"])

    @cached_property
    def table(self) -> pd.DataFrame:
        """Each :class:`fame_lab.experiments.compare.verdicts.Row`, with ``at`` in words.

        ``attrs`` has the differences of the manifests.
        """
        import pandas as pd  # heavy, and for the table alone

        columns = list(Row.__dataclass_fields__)
        cells = [[row.place if name == "at" else getattr(row, name) for name in columns] for row in self.rows]
        table = pd.DataFrame(cells, columns=columns)
        table.attrs = {"a": self.a, "b": self.b, "differs": [each.to_dict() for each in self.differs]}
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return the whole comparison as values that JSON can hold."""
        fields = {
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
        return dict(_to_json(fields))


def _to_json(value: Any) -> Any:
    """Return a value as JSON can hold it: NaN becomes null, infinity and other objects text."""
    if isinstance(value, dict):
        return {str(key): _to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_json(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else str(value) if math.isinf(value) else value
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
