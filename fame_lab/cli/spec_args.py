"""The lab that the command line describes: by options, by a file, or by a file and what is to differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fame_lab.cli.arguments import Decorated, as_path, option
from fame_lab.spec.validation import CHOICES, check_subnet

if TYPE_CHECKING:
    from fame_lab.spec.lab_spec import LabSpec

__all__ = ["spec_of", "spec_options"]


def _choice(field: str, text: str) -> Callable[[Decorated], Decorated]:
    return click.option(f"--{field}", type=click.Choice([str(each) for each in CHOICES[field]]), help=text)


_OPTIONS = (
    click.argument("name", required=False, metavar="[NAME]"),
    option("--spec", "FILE", "TOML, with what the options do not say; by default none.", type=as_path),
    option("--nodes", "N", "1 to 40; by default 2.", type=int),
    option("--fam", "SIZE", "Bytes of FAM, a power of two from 1M; by default 256M."),
    _choice("accel", "How nodes run; by default auto, which is KVM where it works."),
    _choice("start", "How nodes come up; by default auto, the faster way that is safe."),
    option(
        "--image",
        "IMAGE",
        "What nodes boot: appliance, the default; debian; debian-SOMETHING that `fame-lab image build` made; "
        "or a path with a / in it: your qcow2 file with cloud-init, or a directory with kernel and initrd.",
    ),
    option("--memory", "SIZE", "Bytes of each node's own, from 96M; by default 128M, with a disk 256M."),
    option("--vcpus", "N", "CPUs of each node, 1 to 16; by default 1.", type=int),
    option("--book", "SIZE", "Bytes of a book of FAM, a power of two from 4K; by default 8M, or what fits."),
    _choice("layout", "Which books are at home on which node; by default contiguous."),
    option(
        "--fam-path",
        "FILE",
        "Where FAM lies: kept if it is there, else made, and gone with the lab; by default in /dev/shm.",
    ),
    click.option(
        "--trace", is_flag=True, default=None, help="Count accesses to FAM, which takes TCG; by default not."
    ),
    _choice("network", "By default user; libvirt: nodes reach each other over IP, by name."),
    option("--subnet", "NETWORK", "Of --network libvirt; by default 192.168.42.0/24."),
)


def spec_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the name of a lab, and an option for each field but `qemu`; None is what is not given."""
    for declare in reversed(_OPTIONS):
        function = declare(function)
    return function


def spec_of(spec: Path | None, fields: Mapping[str, Any]) -> LabSpec:
    """Return the lab that a file and options describe; an option counts more than the file.

    Parameters
    ----------
    spec : path, optional
        The file, of TOML.
    fields : dict
        By the field's name; None, or of a flag False, where no option says.

    Raises
    ------
    SpecError
        If a field is wrong, or the file is.
    click.UsageError
        If there is neither a name nor a file.
    """
    from fame_lab.spec import toml
    from fame_lab.spec.lab_spec import LabSpec

    values = {field: value for field, value in fields.items() if value is not None and value is not False}
    if spec is None and "name" not in values:
        context = click.get_current_context()
        context.fail(f"{context.info_name} needs NAME, or --spec FILE")
    lab = LabSpec.from_dict(values) if spec is None else toml.read(spec, **values)
    if "subnet" in values:
        check_subnet(values["subnet"], lab.network, unused="")
    return lab
