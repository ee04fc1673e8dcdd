"""The form of a lab: each field checked as it is typed, with the reason beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets

from fame_lab.core.sizes import format_size
from fame_lab.errors import SpecError
from fame_lab.notebook.html import muted, reason, reason_html
from fame_lab.spec.lab_spec import CHOICES, LabSpec
from fame_lab.spec.validation import QEMU_NAMES

__all__ = ["SpecForm", "problems"]

_SIZES = ("fam", "memory", "book")
_COUNTS = ("nodes", "vcpus")
_DEFAULTS = {
    field.name: field.default
    for field in dataclasses.fields(LabSpec)
    if field.default is not dataclasses.MISSING
} | {"name": "demo"}

#: Field by field: what it is called here, and what it means.
_FIELDS = {
    "name": ("name", "of the lab; letters, digits, - and _"),
    "nodes": ("nodes", "1 to 40 virtual machines"),
    "fam": ("FAM", "memory that all nodes share: a power of two, such as 256M or 1G"),
    "accel": ("accelerator", "auto takes KVM where it works"),
    "image": ("image", "appliance, debian, or the path of your own"),
    "network": ("network", "user: SSH alone, on loopback; libvirt: nodes reach each other by name too"),
    "layout": ("layout", "which books of FAM are at home on which node"),
    "start": ("start", "how nodes come up"),
    "trace": ("trace", "whether each access to FAM can be counted; takes TCG"),
    "book": ("book", "unit in which FAM is laid out; auto is 8M or what fits"),
    "vcpus": ("CPUs", "of each node"),
    "memory": ("memory", "of each node's own; auto is what the image needs"),
    "fam_path": ("FAM's file", "empty: one of the lab's own, which goes with it"),
    "subnet": ("subnet", "the nodes' addresses in a network of libvirt's"),
    "qemu": ("QEMU", "auto: the host's own; backports; or the path of another qemu-system-x86_64"),
}
_MORE = ("book", "vcpus", "memory", "fam_path", "subnet", "qemu")


def problems(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the reason for each field that cannot be right, for all of them at once.

    Examples
    --------
    >>> problems({"name": "demo", "nodes": 0, "fam": "3M"}).keys()
    dict_keys(['nodes', 'fam'])
    """
    reasons: dict[str, str] = {}
    fields = dict(values)
    while True:
        try:
            LabSpec(**fields)
        except SpecError as error:
            if error.field is None or error.field in reasons:
                return reasons | {error.field or "name": str(error)}
            reasons[error.field] = str(error)
            # With a right value in its place the check goes on to the next fields.
            fields[error.field] = _DEFAULTS[error.field]
        else:
            return reasons


class SpecForm(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """Widgets for the fields of a LabSpec.

    Parameters
    ----------
    on_change : callable
        Called when a field, or the reason that refuses it, has changed.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._names: list[str] = []
        self.problems: dict[str, str] = {}
        self.fields = {field: _widget(field) for field in _FIELDS}
        self._reasons = {field: reason() for field in _FIELDS}
        rows = {field: self._row(field) for field in _FIELDS}
        common = ipywidgets.VBox([row for field, row in rows.items() if field not in _MORE])
        self.more = ipywidgets.Accordion(
            [ipywidgets.VBox([rows[field] for field in _MORE])], titles=("more",), selected_index=None
        )
        super().__init__([common, self.more])
        for widget in self.fields.values():
            widget.observe(self._look, "value")
        self._look()

    @property
    def values(self) -> dict[str, Any]:
        """The values of the fields, as LabSpec takes them."""
        fields = {field: widget.value for field, widget in self.fields.items()}
        for field in _COUNTS:
            text = str(fields[field]).strip()
            fields[field] = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text
        for field in (*_SIZES, "name", "image", "subnet", "qemu"):
            fields[field] = fields[field].strip()
        fields["fam_path"] = fields["fam_path"].strip() or None
        return fields

    def spec(self) -> LabSpec:
        """Return the spec that is described.

        Raises
        ------
        SpecError
            If a field cannot be right.
        """
        return LabSpec(**self.values)

    def show(self, spec: LabSpec) -> None:
        """Fill the fields from a spec."""
        for field, value in spec.to_dict().items():
            if field in _SIZES:
                value = format_size(value)
            elif field in _COUNTS:
                value = str(value)
            self.fields[field].value = "" if value is None else value

    def disable(self, disabled: bool) -> None:
        """Set whether anything can be changed."""
        for widget in self.fields.values():
            widget.disabled = disabled

    def take_names(self, names: Sequence[str]) -> None:
        """Refuse these names from now on: labs that run have them."""
        if list(names) != self._names:
            self._names = list(names)
            self._look()

    def _look(self, *_: Any) -> None:
        values = self.values
        reasons = problems(values)
        if "name" not in reasons and values["name"] in self._names:
            why = f"name is {values['name']!r}: a lab of that name is there; choose it above, or another name"
            reasons = {"name": why} | reasons
        self.problems = reasons
        for field, beside in self._reasons.items():
            why = reasons.get(field, "")
            beside.value = reason_html(why) if why else muted(_FIELDS[field][1])
        if set(reasons) & set(_MORE):
            self.more.selected_index = 0  # or the reason could not be seen
        self._on_change()

    @property
    def waits_for(self) -> str:
        """The fields that cannot be right, as they are called here."""
        return ", ".join(_FIELDS[field][0] for field in self.problems)

    def _row(self, field: str) -> ipywidgets.HBox:
        label = ipywidgets.Label(_FIELDS[field][0], layout=ipywidgets.Layout(width="7em"))
        return ipywidgets.HBox([label, self.fields[field], self._reasons[field]])


def _widget(field: str) -> Any:
    layout = ipywidgets.Layout(width="13em", flex="none")
    default = _DEFAULTS[field]
    if field == "trace":
        return ipywidgets.Checkbox(value=False, indent=False, layout=layout)
    if field == "qemu":  # a path too
        return ipywidgets.Combobox(options=("auto", *QEMU_NAMES), value=default, layout=layout)
    if field == "image":  # a path too
        return ipywidgets.Combobox(options=CHOICES[field], value=default, layout=layout)
    if field in CHOICES:
        return ipywidgets.Dropdown(options=CHOICES[field], value=default, layout=layout)
    if field == "fam":
        default = format_size(int(default))
    return ipywidgets.Text(
        value="" if default is None else str(default), continuous_update=True, layout=layout
    )
