"""Arguments that several commands take: paths, NAME=VALUE, the two paths of a copy, a picture."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from fame_lab.core.paths import given_path
from fame_lab.errors import FameError, SpecError

__all__ = [
    "NEGATIVE_NUMBER",
    "Command",
    "Decorated",
    "as_path",
    "check_picture",
    "json_option",
    "named",
    "option",
    "parameter",
    "parameter_option",
    "plot_option",
    "split_paths",
]

_PICTURES = (".png", ".svg", ".pdf")
Decorated = TypeVar("Decorated", bound=Callable[..., Any])
#: What begins with a dash and is no option.
NEGATIVE_NUMBER = re.compile(r"-\d+|-\d*\.\d+", re.ASCII)
#: What a message proposes to a program: accel='tcg'.
_HINT = re.compile(r"\b([a-z_]+)=(?:'([^']*)'|True|False)")


class Command(click.Command):
    """A command whose options do not swallow one another.

    Parameters
    ----------
    meant : str
        What to propose to a user who gives an option that it has not; ``{name}`` is the first word given.
    """

    def __init__(self, *args: Any, meant: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # click keeps the help option of the first call, which may be one without the group around it.
        self.context_settings.setdefault("help_option_names", ["-h", "--help"])
        self._proposal = meant

    @property
    def valued(self) -> set[str]:
        """The options that take a value."""
        options = (each for each in self.params if isinstance(each, click.Option) and not each.is_flag)
        return {name for each in options for name in each.opts}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words after the command's name; raise UsageError if they make no sense."""
        end = args.index("--") + 1 if "--" in args else len(args)
        valued = self.valued
        for option, value in pairwise(args[:end]):
            # click would take `--output --json` for a directory of that name.
            if option in valued and value[:1] == "-" != value and not NEGATIVE_NUMBER.fullmatch(value):
                hint = f"{option}=VALUE takes one that begins with a dash"
                raise click.UsageError(f"Option {option!r} requires an argument; {hint}.", ctx)
        # Of a short option click would take the sign for a part of the value.
        own = [re.sub(r"^(-\w)=(?=.)", r"\1", word) if word[:2] in valued else word for word in args[:end]]
        try:
            return super().parse_args(ctx, own + args[end:])
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            if not self._proposal or not isinstance(error, click.NoSuchOption):
                raise
            proposal = self._proposal.format(name="NAME" if args[0].startswith("-") else args[0])
            raise click.UsageError(
                f"No such option {error.option_name!r}; did you mean: {proposal}", ctx
            ) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Do it; an error names an option that was given, and not its field or parameter in Python."""
        try:
            return super().invoke(ctx)
        except FameError as error:
            _name_options(ctx, error)
            raise


def _name_options(ctx: click.Context, error: FameError) -> None:
    options = {str(each.name): each.opts[0] for each in ctx.command.params if isinstance(each, click.Option)}
    spec = ctx.params.get("spec")
    message = error.message.removeprefix(f"{spec}: ")
    about = re.match(r"(\w+)(?= (?:is|has) )", message)
    if about and about[1] in options and ctx.get_parameter_source(about[1]) is ParameterSource.COMMANDLINE:
        message = f"{options[about[1]]}{message.removeprefix(about[1])}"
    elif spec is not None:  # a file's fields stay fields
        return
    error.reword(*(_HINT.sub(lambda hint: _as_option(options, hint), text) for text in (message, error.hint)))


def _as_option(options: Mapping[str, str], hint: re.Match[str]) -> str:
    field, value = hint.groups()
    if field not in options:
        return hint[0]
    if value is None:
        return options[field] if hint[0].endswith("True") else f"no {options[field]}"
    return f"{options[field]} {shlex.quote(value)}"


def as_path(text: str) -> Path:
    """Read a path; raise BadParameter if no file can have it."""
    try:
        return given_path("it", text)
    except SpecError as error:
        raise click.BadParameter(str(error)) from error


def named(text: str) -> tuple[str, str]:
    """Part NAME=VALUE; raise BadParameter if it is not."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise click.BadParameter(f"{text!r} is not NAME=VALUE")
    return name, value


def parameter(text: str) -> tuple[str, Any]:
    """Part it, and read the value as a probe's."""
    from fame_lab.probes.common import parameters  # it brings all that measures

    name, value = named(text)
    return name, parameters.value(value)


def split_paths(nodes: tuple[str, ...], words: tuple[str, ...]) -> tuple[list[str], str, str]:
    """Return the nodes that are named, and the two paths of a copy; raise UsageError for other words."""
    if len(words) != 2 and (len(words) != 3 or nodes):
        context = click.get_current_context()
        if len(words) == 1:
            *_, last = str(context.command.params[1].metavar).split()
            context.fail(f"Missing {last}: {context.info_name} takes two paths after the lab's name.")
        also = " and --node" if nodes else ""
        count = f"{len(words)} words follow the lab's name{also}"
        context.fail(f"{context.info_name} takes a node or none, and two paths: {count}")
    *positional, source, target = words
    return [*dict.fromkeys(positional or nodes)], source, target


def check_picture(path: Path | None, *, replaced: bool = False) -> None:
    """Refuse a picture that could not be written in the end, before anything is measured.

    Parameters
    ----------
    path : path, optional
        What ``--plot`` was given.
    replaced : bool
        Whether one that is there may be replaced.

    Raises
    ------
    SpecError
        If it is of no kind that can be drawn, there is no such directory, or it is there.
    """
    if path is None:
        return
    if path.suffix not in _PICTURES:
        raise SpecError(f"--plot is {str(path)!r}", hint="give a name that ends in .png, .svg or .pdf")
    if not path.absolute().parent.is_dir():
        raise SpecError(f"--plot is {str(path)!r}: there is no directory {str(path.absolute().parent)!r}")
    if path.exists() and not (replaced and path.is_file()):
        raise SpecError(f"--plot is {str(path)!r}, which is there", hint="give a name that is not there yet")


def option(name: str, metavar: str, text: str, **settings: Any) -> Callable[[Decorated], Decorated]:
    """Return the declaration of an option that takes a value; `text` says its unit and default."""
    return click.option(name, metavar=metavar, help=text, **settings)


def parameter_option(text: str, kind: Any = parameter) -> Callable[[Decorated], Decorated]:
    """Return the declaration of ``-p``."""
    return click.option("-p", "parameters", multiple=True, type=kind, metavar="NAME=VALUE", help=text)


json_option = click.option("--json", "as_json", is_flag=True, help="Print what a program can read.")
plot_option = option("--plot", "FILE", "Draw it, as .png, .svg or .pdf; by default not.", type=as_path)
