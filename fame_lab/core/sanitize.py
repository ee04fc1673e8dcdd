"""Clean untrusted text for a message or a terminal: a guest may have written it."""

from __future__ import annotations

__all__ = ["plain", "quoted", "shortened"]


def shortened(text: str, limit: int = 120) -> str:
    """Quote a text for a message, cut to `limit` characters.

    Examples
    --------
    >>> shortened("a" * 9, 4)
    "'aaa…'"
    """
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")


def quoted(value: object, limit: int = 120) -> str:
    """Quote a value of any kind for a message, cut to `limit` characters.

    Examples
    --------
    >>> quoted([1, "x"]), quoted(10**5000)
    ("[1, 'x']", 'a very large int')
    """
    if isinstance(value, str):
        return shortened(value, limit)
    try:
        text = plain(repr(value), keep="")
    except Exception:  # noqa: BLE001 - a value with a broken repr still gets a message
        kind = type(value).__name__
        return f"a very large {kind}" if isinstance(value, int) else f"<{kind}>"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def plain(text: str, keep: str = "\t\n") -> str:
    r"""Replace each unprintable character by its code, so that others' text cannot steer a terminal.

    Parameters
    ----------
    text : str
    keep : str
        Characters that stay although they cannot be printed.

    Examples
    --------
    >>> plain("a\x1b[2Jb\tc")
    'a\\x1b[2Jb\tc'
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keep else _code(each) for each in text)


def _code(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
