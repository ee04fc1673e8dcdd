"""Check what FAM can store: plain bytes, dtypes of plain bytes, and ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fame_lab.core.numeric import whole
from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError

__all__ = ["check_elements", "check_range", "plain_bytes", "plain_dtype"]


def check_range(offset: object, size: object, fam_size: int) -> tuple[int, int]:
    """Return offset and size as Python's own whole numbers.

    Raises
    ------
    SpecError
        If they are none, or the range is outside FAM.
    """
    start, length = whole(offset), whole(size)
    if start is None or length is None:
        name, wrong = ("offset", offset) if start is None else ("size", size)
        raise SpecError(f"{name} is {quoted(wrong)}", hint="give a whole number of bytes")
    if start < 0 or length < 0 or start + length > fam_size:
        raise SpecError(
            f"{quoted(length)} bytes at offset {quoted(start)} are outside FAM, which has {fam_size}"
        )
    return start, length


def check_elements(kind: np.dtype[Any], offset: object, count: object, fam_size: int) -> tuple[int, int]:
    """Return offset and number of elements as Python's own; without a `count`, as many as FAM has from there.

    Raises
    ------
    SpecError
        If the offset is misaligned, or the range is outside FAM.
    """
    start = whole(offset)
    if start is None or not 0 <= start <= fam_size or start % max(kind.alignment, 1):
        raise SpecError(
            f"offset is {quoted(offset)}",
            hint=f"give a multiple of {kind.alignment} (the alignment of {kind}) from 0 to {fam_size}",
        )
    most = (fam_size - start) // kind.itemsize
    elements = most if count is None else whole(count)
    if elements is None or not 0 <= elements <= most:
        raise SpecError(
            f"count is {quoted(count)}: from offset {start}, FAM has room for 0 to {most} elements of {kind}"
        )
    return start, elements


def plain_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Return a dtype of plain bytes.

    Raises
    ------
    SpecError
        If numpy knows no such dtype, or its elements have no bytes or are Python objects.
    """
    try:
        kind = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError) as error:
        raise SpecError(
            f"dtype is {quoted(dtype)}, which numpy does not know", hint="give one such as 'u8'"
        ) from error
    if kind.hasobject or not kind.itemsize:
        raise SpecError(
            f"dtype is {quoted(kind)}: FAM holds plain bytes, so give one of a fixed size without objects"
        )
    return kind


def plain_bytes(content: object) -> npt.NDArray[np.uint8]:
    """Return a buffer's bytes, without a copy unless it is strided: those are in C order.

    Raises
    ------
    SpecError
        If it has none, or they are addresses of Python objects.
    """
    try:
        if isinstance(content, np.ndarray | np.generic):
            # numpy shows no buffer of some dtypes, such as times.
            plain_dtype(content.dtype)
            return np.ascontiguousarray(content).reshape(-1).view("u1")
        view = memoryview(content)  # type: ignore[arg-type] # that is the question
        if "O" in view.format:
            raise TypeError("it holds Python objects")
        return np.frombuffer(view if view.c_contiguous else view.tobytes(), "u1")
    except (TypeError, ValueError, BufferError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(
            f"content is {quoted(type(content).__name__)}", hint="give bytes, or an array of plain numbers"
        ) from error
