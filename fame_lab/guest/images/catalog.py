"""The catalog: the image that a spec's ``image`` names, and the images in the cache."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from fame_lab.core.cache import caches
from fame_lab.core.sanitize import quoted
from fame_lab.core.sizes import format_size
from fame_lab.errors import HostError, LabError, SpecError
from fame_lab.guest.images import appliance, custom, debian
from fame_lab.guest.images.base import Image
from fame_lab.spec.lab_spec import LabSpec
from fame_lab.spec.validation import for_field

__all__ = ["CachedImage", "booted_by", "cached", "check_memory", "get", "remove"]


def get(name: str, tell: Callable[[str], None] | None = None) -> Image:
    """Return the image that a spec names, built if it is not there.

    Parameters
    ----------
    name : str
        ``appliance``, the name of a Debian image, or a path.
    tell : callable, optional
        Told in a few words what goes on.

    Raises
    ------
    SpecError
        If nothing of that name can be had, or the file is not what it should be.
    ImageError
        If it cannot be built.
    """
    if name == "appliance":
        return appliance.ensure(tell)
    if "/" in name:
        return custom.find(Path(name))
    return debian.ensure(name, tell)


def check_memory(image: Image, spec: LabSpec) -> None:
    """Raise SpecError, about the field `memory`, if a node with so little would not come up."""
    least = image.least_memory(spec.vcpus)
    if spec.memory_size < least:
        with for_field("memory"):
            raise SpecError(
                f"memory is {format_size(spec.memory_size)}: Linux {image.kernel_release} with its initramfs "
                f"(image={str(spec.image)!r}) needs {format_size(least)} to come up",
                hint=f"give memory={format_size(least)!r} or more",
            )


def booted_by(name: str, digest: str) -> Image:
    """Return the image that the nodes of a running lab booted.

    Raises
    ------
    LabError
        If it is not there any more.
    """
    if name == "appliance":
        return appliance.ensure()
    if "/" in name:
        return custom.find(Path(name))
    found = debian.load(debian.root() / name / digest)
    if found is None:
        raise LabError(
            f"the image {quoted(name)} ({digest[:12]}) that this lab's nodes booted is not in "
            f"{debian.root()}",
            hint="set FAME_LAB_CACHE as it was when the lab started",
        )
    return found


@dataclass(frozen=True)
class CachedImage:
    """An image in the cache.

    Parameters
    ----------
    name, digest : str
    directory : Path
    current : bool
        Whether it is what a lab would boot now; others are left from before.
    kernel_release : str
        Empty if it cannot be read.
    packages : tuple of str
        What it has besides the usual.
    built : str
        When, as ISO 8601 in UTC; empty of an appliance.
    """

    name: str
    digest: str
    directory: Path
    current: bool
    kernel_release: str
    packages: tuple[str, ...] = ()
    built: str = ""

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return sum(path.stat().st_blocks * 512 for path in self.directory.iterdir())


def cached() -> list[CachedImage]:
    """List the images in the cache: appliances, then Debian images; last of each what was asked for last."""
    return [*_appliances(), *_debians()]


def remove(wanted: str | None, in_use: Iterable[str]) -> list[CachedImage]:
    """Take images away: those of a name or a digest; without any, all that are left from before.

    Parameters
    ----------
    wanted : str, optional
        A name, or the beginning of a digest.
    in_use : iterable of str
        Digests of what the nodes that run have booted.

    Raises
    ------
    SpecError
        If there is none of that name.
    LabError
        If a lab runs on one of them; then nothing is taken away.
    """
    there, used = cached(), set(in_use)
    if wanted is None:
        going = [image for image in there if not image.current and image.digest not in used]
    else:
        going = [image for image in there if wanted == image.name or _begins(image.digest, wanted)]
        if not going:
            names = ", ".join(sorted({image.name for image in there})) or "none"
            raise SpecError(f"there is no image {quoted(wanted)}; in the cache are: {names}")
        for image in going:
            if image.digest in used:
                raise LabError(
                    f"a lab runs on {image.name} ({image.digest[:12]})",
                    hint="end it first; `fame-lab ls` has it",
                )
    for image in going:
        try:
            # Out of sight at once, so that what is half gone is never booted.
            gone = image.directory.with_name(f"building-{image.digest[:12]}")
            image.directory.rename(gone)
            shutil.rmtree(gone)
        except OSError as error:
            raise HostError(
                f"cannot remove {image.directory}: {error.strerror} ({error.filename})"
            ) from error
    return going


def _begins(digest: str, wanted: str) -> bool:
    return len(wanted) >= 8 and digest.startswith(wanted)  # enough to be meant


def _appliances() -> list[CachedImage]:
    current = appliance.cached()
    found = []
    kept = [path for root in caches("appliance") for path in root.glob("*/appliance.json")]
    for path in sorted(kept, key=_made):
        image = appliance.load(path.parent)
        if image is not None:
            is_current = current is not None and image.digest == current.digest
            found.append(
                CachedImage("appliance", image.digest, path.parent, is_current, image.kernel_release)
            )
    return found


def _debians() -> list[CachedImage]:
    return [
        CachedImage(
            image.name,
            image.digest,
            image.disk.parent,
            debian.is_current(image),
            image.kernel_release,
            image.packages,
            image.built,
        )
        for image in debian.built()
    ]


def _made(path: Path) -> tuple[int, Path]:
    return path.stat().st_mtime_ns, path  # of equal times the order of a directory is the file system's own
