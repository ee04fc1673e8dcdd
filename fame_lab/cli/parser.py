"""The words of the command line; what they do is in :mod:`fame_lab.cli.main`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from fame_lab.cli import compare as cli_compare
from fame_lab.cli import files, report, sweep
from fame_lab.cli import image as cli_image
from fame_lab.cli import qemu as cli_qemu
from fame_lab.cli.arguments import as_path, parameter
from fame_lab.cli.probe_help import ProbeHelp
from fame_lab.core.sanitize import plain
from fame_lab.core.version import __version__

__all__ = ["parse", "parser"]

#: Characters of a complaint.
_MAX_MESSAGE = 1000


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the words of a command line; ends the program with status 2 if they make no sense."""
    words, command = list(words), []
    # argparse has no optional words after options: it takes none at the first place where there are none.
    if "trace" in words[:2] and "--" in words:
        at = words.index("--")
        words, command = words[:at], words[at + 1 :]
    whole = parser()
    found, unknown = whole.parse_known_args(words)
    if unknown:
        # Options that were meant for the command in the nodes.
        meant = {
            "run": f"fame-lab run {getattr(found, 'name', '')} -- COMMAND",
            "probe": "-p NAME=VALUE for a probe's parameter",
        }.get(found.command)
        whole.error(
            f"unrecognized arguments: {' '.join(unknown)}{f'; did you mean: {meant}' if meant else ''}"
        )
    if found.command in ("put", "get") and (wrong := files.misused(found)):
        whole.error(wrong)
    if found.command in ("up", "xml") and found.name is None and found.spec is None:
        whole.error(f"{found.command} needs NAME, or --spec FILE")
    if command:
        found.words = command
    return found


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints stay short and steer no terminal, whatever was typed."""

    def error(self, message: str) -> NoReturn:
        message = plain(message, keep="")
        super().error(message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}…")


def parser() -> argparse.ArgumentParser:
    """Return the parser; what it finds names its command as ``command``."""
    whole = _Parser(prog="fame-lab", description="Nodes around one fabric-attached memory.")
    whole.add_argument("--version", action="version", version=f"fame_lab {__version__}")
    whole.add_argument("--verbose", action="store_true", help="say on stderr what goes on")
    words = whole.add_subparsers(required=True, metavar="COMMAND")

    doctor = words.add_parser("doctor", help="what this host can do, and how to mend what it can't")
    doctor.add_argument("--json", action="store_true")
    doctor.set_defaults(command="doctor")

    spec = _spec_options()
    up = words.add_parser("up", parents=[spec], help="start a lab and leave it running")
    up.add_argument(
        "--qemu", "--emulator", metavar="QEMU", help="a path, or backports; by default the host's"
    )
    up.set_defaults(command="up")

    xml = words.add_parser(
        "xml",
        parents=[spec],
        help="a lab for elsewhere: libvirt's XML, or QEMU's command lines",
        epilog="With --output, a folder: XML, scripts, kernel, keys for SSH, and a README of how to start. "
        "Without, nodes are got into by their serial lines. --accel auto is KVM if it works here.",
    )
    xml.add_argument("--output", type=as_path, metavar="DIR", help="not there yet; else it is printed")
    xml.add_argument(
        "--node", action="append", default=[], metavar="NODE", help="this one; may be given again"
    )
    xml.add_argument(
        "--qemu",
        dest="command_lines",
        action="store_true",
        help="command lines of QEMU, for a shell; --emulator names another QEMU",
    )
    xml.add_argument(
        "--emulator", dest="qemu", metavar="QEMU", help="a path, or backports; by default the host's"
    )
    xml.add_argument(
        "--ssh-port", type=int, default=2201, metavar="PORT",
        help="of 127.0.0.1: of the first node, the next of the next; by default 2201",
    )  # fmt: skip
    xml.add_argument("--json", action="store_true", help="by the nodes' names")
    xml.set_defaults(command="xml")

    ls = words.add_parser("ls", help="what runs on this host")
    ls.add_argument("--json", action="store_true")
    ls.set_defaults(command="ls")

    ssh = words.add_parser("ssh", help="a shell on a node")
    ssh.add_argument("name", metavar="NAME")
    ssh.add_argument("node", metavar="NODE")
    ssh.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    ssh.set_defaults(command="ssh")

    run = words.add_parser("run", help="a command on every node, in parallel")
    run.add_argument("name", metavar="NAME")
    run.add_argument("--node", action="append", metavar="NODE", help="on this node; may be given again")
    run.add_argument("--timeout", type=float, metavar="SECONDS")
    run.add_argument("-n", "--no-stdin", action="store_true", help="do not pass on standard input")
    run.add_argument("--json", action="store_true")
    run.add_argument("words", nargs="+", metavar="COMMAND", help="after --")
    run.set_defaults(command="run")

    files.add_arguments(words)

    restart = words.add_parser("restart", help="boot nodes anew, into the same FAM")
    restart.add_argument("name", metavar="NAME")
    restart.add_argument("nodes", nargs="+", metavar="NODE")
    restart.set_defaults(command="restart")

    down = words.add_parser("down", help="end labs and take away what they left")
    which = down.add_mutually_exclusive_group(required=True)
    which.add_argument("names", nargs="*", default=[], metavar="NAME")
    which.add_argument("--all", action="store_true", help="every lab of yours on this host")
    which.add_argument(
        "--orphans",
        action="store_true",
        help="what was killed and left something behind: labs of which nothing runs, and labs of which the "
        "owner, the process that started them, was killed and nobody has taken them up; what `fame-lab up`, "
        "or a program that ended by itself, left running stays",
    )
    down.set_defaults(command="down")

    probe = words.add_parser("probe", help="measure in a running lab", add_help=False)
    more = "show this; after NAME PROBE, what the probe takes, too"
    probe.add_argument("-h", "--help", nargs=0, action=ProbeHelp, help=more)
    probe.add_argument("name", metavar="NAME")
    probe.add_argument("probe", metavar="PROBE", help="such as chase; a wrong name lists all")
    probe.add_argument(
        "-p", dest="parameter", action="append", default=[], type=parameter, metavar="NAME=VALUE",
        help="of the probe; several values are parted by commas: -p working_sets=4K,64K",
    )  # fmt: skip
    probe.add_argument("--output", type=as_path, metavar="DIR", help="save the result there")
    probe.set_defaults(command="probe")

    trace = words.add_parser(
        "trace",
        help="count accesses to FAM in a lab that was started with --trace",
        usage="fame-lab trace NAME [options] [-- COMMAND]",
        epilog="The recording ends with COMMAND, or after the seconds given, or by Ctrl-C.",
    )
    trace.add_argument("name", metavar="NAME")
    trace.add_argument(
        "--node", action="append", metavar="NODE", help="where the command runs; by default all"
    )
    trace.add_argument("-n", "--no-stdin", action="store_true", help="do not pass on standard input")
    trace.add_argument("--seconds", type=_seconds, metavar="S", help="without a command: how long")
    trace.add_argument("--granule", default="4K", metavar="SIZE", help="64 to 64K; by default 4K")
    trace.add_argument("--order", type=as_path, metavar="FILE", help="accesses in their order, as Parquet")
    trace.add_argument("--output", type=as_path, metavar="DIR", help="save the counts there")
    trace.add_argument("--plot", type=as_path, metavar="FILE", help="draw them, as .png, .svg or .pdf")
    trace.add_argument("--json", action="store_true")
    trace.set_defaults(command="trace", words=[])

    image = words.add_parser("image", help="build, list, remove and export guest images")
    cli_image.add_arguments(image)
    image.set_defaults(command="image")

    qemu = words.add_parser("qemu", help="fetch, list and remove a QEMU beside the host's")
    cli_qemu.add_arguments(qemu)
    qemu.set_defaults(command="qemu")

    compare = words.add_parser("compare", help="tell two results, recordings, sweeps or reports apart")
    cli_compare.add_arguments(compare)
    compare.set_defaults(command="compare")

    report.add_arguments(words)

    sweep.add_arguments(words)
    return whole


def _spec_options() -> _Parser:
    """Return what describes a lab, for the words that take one."""
    spec = _Parser(add_help=False)
    spec.add_argument("name", nargs="?", metavar="NAME")
    spec.add_argument("--spec", type=as_path, metavar="FILE", help="TOML, with what the options do not say")
    spec.add_argument("--nodes", type=int, metavar="N", help="1 to 40")
    spec.add_argument("--fam", metavar="SIZE", help="a power of two, such as 256M")
    spec.add_argument("--accel", choices=("auto", "kvm", "tcg"))
    spec.add_argument("--start", choices=("auto", "cold", "template"), help="how nodes come up")
    spec.add_argument("--image", metavar="IMAGE", help="appliance, debian, or a path of your own")
    spec.add_argument("--memory", metavar="SIZE", help="of each node, such as 128M")
    spec.add_argument("--vcpus", type=int, metavar="N", help="of each node")
    spec.add_argument("--book", metavar="SIZE", help="such as 8M")
    spec.add_argument("--layout", choices=("contiguous", "interleaved"))
    spec.add_argument(
        "--fam-path",
        metavar="FILE",
        help="where FAM lies: kept if it is there already, else made, and gone with the lab",
    )
    spec.add_argument("--trace", action="store_true", default=None, help="count accesses to FAM; takes TCG")
    spec.add_argument(
        "--network", choices=("user", "libvirt"), help="libvirt: nodes reach each other over IP, by name"
    )
    spec.add_argument("--subnet", metavar="NETWORK", help="of --network libvirt: such as 192.168.42.0/24")
    return spec


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds
