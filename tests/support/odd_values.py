"""Values that nobody means and somebody gives."""

import math
from pathlib import Path, PurePosixPath

import numpy as np


class Odd:
    """A value that has no words, and cannot be compared."""

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        raise RuntimeError("no words")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")


ODD = [
    *(
        10**5000,
        -(10**5000),
        1 << 70,
        math.nan,
        "9" * 20 + "T",
        "x" * 100_000,
        "/" + "x" * 100_000,
        "/x" * 50_000,
        "10.0.0.0/" + "9" * 5000,
        b"x" * 100_000,
        ["x" * 100_000],
        {"x" * 100_000: 1},
        "\ud800",
        "a\u202eb",
        "~root/x",
    ),
    *(Odd(), np.arange(3), np.float32(1), np.int64(5), np.str_("a"), object, Path("a"), PurePosixPath("x")),
]
