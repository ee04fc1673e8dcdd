"""Parts of the panel as HTML, escaped: output of guests, and errors."""

from __future__ import annotations

import traceback
from typing import Any

import ipywidgets

from fame_lab.core.html import render
from fame_lab.errors import FameError

__all__ = [
    "STYLE", "error_html", "hidden_picture", "muted", "note_html", "pre", "pre_from_its_end", "reason",
    "reason_html",
]  # fmt: skip

_MAX_REASON = 400

#: Colours are the page's own where it has any, so that it reads well in dark and light themes.
STYLE = """\
<style>
.fame-panel { border: 1px solid var(--jp-border-color2, #bbb); border-radius: 4px; padding: 8px 10px; }
.fame-panel .widget-html-content, .fame-panel .jupyter-widgets-html-content { line-height: 1.4; }
.fame-panel .widget-html, .fame-panel .widget-html-content { min-width: 0; max-width: 100%; }
.fame-panel .widget-hbox { flex-wrap: wrap; align-items: center; }
.fame-title { font-size: 1.15em; font-weight: 600; }
.fame-faint { opacity: .75; }
.fame-alert { border-left: 4px solid #dc4545; padding: .4em .8em; margin: .3em 0; white-space: pre-wrap;
  overflow-wrap: anywhere; background: rgba(220, 69, 69, .1); }
.fame-note { border-left: 4px solid #4a90d9; padding: .4em .8em; margin: .3em 0; white-space: pre-wrap;
  overflow-wrap: anywhere; background: rgba(74, 144, 217, .1); }
.fame-reason { color: #dc4545; white-space: normal; line-height: 1.25; overflow-wrap: anywhere; }
.fame-scroll { overflow-x: auto; }
.fame-nodes { border-collapse: collapse; width: 100%; min-width: 52em; table-layout: fixed; }
.fame-nodes th, .fame-nodes td { text-align: left !important; padding: .15em .6em; vertical-align: top;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  border-bottom: 1px solid var(--jp-border-color2, #ccc); }
.fame-nodes td.fame-number, .fame-nodes th.fame-number { text-align: right !important;
  font-variant-numeric: tabular-nums; }
.fame-nodes td.fame-console { font-family: var(--jp-code-font-family, monospace); font-size: .9em; }
.fame-pre { margin: .2em 0; max-height: 24em; overflow: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; font-family: var(--jp-code-font-family, monospace); font-size: .9em; }
.fame-end { display: flex; flex-direction: column-reverse; max-height: 24em; overflow: auto; }
.fame-end .fame-pre { max-height: none; }
.fame-pre, .fame-console, .fame-run pre { unicode-bidi: isolate; }
</style>"""

_ERROR = """\
<div class="fame-alert" role="alert">{{ message }}
{%- if trace %}
<details><summary>where it came from</summary><pre class="fame-pre">{{ trace }}</pre></details>
{%- endif %}</div>"""


def reason() -> Any:
    """Create the widget beside a field for its meaning, or the reason that refuses it."""
    return ipywidgets.HTML(layout=ipywidgets.Layout(flex="1 1 12em", min_width="0", margin="2px 0 2px 8px"))


def hidden_picture() -> Any:
    """Create the widget of a picture that is shown once there is one."""
    # As wide as it was drawn, unless there is less room: a picture that is stretched is a blur.
    layout = ipywidgets.Layout(align_self="flex-start", max_width="100%", display="none")
    return ipywidgets.Image(format="png", layout=layout)


def muted(text: str) -> str:
    """Write a line of lesser weight."""
    return render('<span class="fame-faint">{{ text }}</span>', text=text) if text else ""


def pre(text: str) -> str:
    """Write text as it stands, in a box of bounded height."""
    return render('<pre class="fame-pre">{{ text }}</pre>', text=text)


def pre_from_its_end(text: str) -> str:
    """Write text as it stands, in a box that shows its end, also when more is added."""
    return render('<div class="fame-end"><pre class="fame-pre">{{ text }}</pre></div>', text=text)


def reason_html(why: str) -> str:
    """Write why a field cannot be right, cut to a bounded length: it quotes what was typed."""
    text = why if len(why) <= _MAX_REASON else f"{why[:_MAX_REASON]} …"
    return render('<div class="fame-reason" role="alert">{{ why }}</div>', why=text)


def note_html(words: str) -> str:
    """Write a note, which is no error."""
    return render('<div class="fame-note">{{ words }}</div>', words=words)


def error_html(what: str, error: BaseException) -> str:
    """Write an error in full, with its traceback if the kit did not expect it."""
    message = error.explanation() if isinstance(error, FameError) else f"{type(error).__name__}: {error}"
    is_expected = isinstance(error, (FameError, OSError))
    trace = "" if is_expected else "".join(traceback.format_exception(error))
    return render(_ERROR, message=f"{what}: {message}" if what else message, trace=trace)
