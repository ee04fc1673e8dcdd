"""The catalog: the image that a spec's ``image`` names, and the images in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from fame_lab.core import cache
from fame_lab.core.cache import caches
from fame_lab.core.sanitize import quoted
from fame_lab.core.sizes import format_size
from fame_lab.errors import LabError, SpecError
from fame_lab.guest.images import appliance, custom, debian
from fame_lab.guest.images.base import Image
from fame_lab.spec.lab_spec import LabSpec
from fame_lab.spec.validation import for_field

__all__ = ["CachedImage", "booted_by", "cached", "check_memory", "get", "remove"]


def get(name: str, on_stage: Callable[[str], None] | None = None) -> Image:
    """Return the image that a spec names, built if it is missing.

    Parameters
    ----------
    name : str
        ``appliance``, the name of a Debian image, or a path.
    on_stage : callable, optional
        Called with a few words at each stage.

    Raises
    ------
    SpecError
        If there is no image of that name, or the file cannot be one.
    ImageError
        If it cannot be built.
    """
    if name == "appliance":
        return appliance.ensure(on_stage)
    if "/" in name:
        return custom.find(Path(name))
    return debian.ensure(name, on_stage)


def check_memory(image: Image, spec: LabSpec) -> None:
    """Raise SpecError, of the field `memory`, if a node with so little would not come up."""
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
        If it is gone.
    """
    if name == "appliance" or "/" in name:
        return get(name)
    image = debian.load(debian.root() / name / digest)
    if image is None:
        raise LabError(
            f"the image {quoted(name)} ({digest[:12]}) that this lab's nodes booted is not in "
            f"{debian.root()}",
            hint="set FAME_LAB_CACHE as it was when the lab started",
        )
    return image


@dataclass(frozen=True)
class CachedImage:
    """An image in the cache.

    Parameters
    ----------
    name, digest : str
    directory : Path
    current : bool
        Whether a lab would boot it now; others are from before.
    kernel_release : str
        Empty if it cannot be read.
    packages : tuple of str
        Its packages besides the usual.
    built : str
        Time of the build, as ISO 8601 in UTC; empty of an appliance.
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
        """Bytes of the disk that it takes."""
        return sum(path.stat().st_blocks * 512 for path in self.directory.iterdir())


def cached() -> list[CachedImage]:
    """List the images in the cache: appliances, then Debian images; of each the last used comes last."""
    return [*_appliances(), *_debians()]


def remove(selector: str | None, in_use: Iterable[str]) -> list[CachedImage]:
    """Remove the images of a name or a digest; without one, all that are not current.

    Parameters
    ----------
    selector : str, optional
        A name, or the beginning of a digest.
    in_use : iterable of str
        Digests of the images of nodes that run.

    Raises
    ------
    SpecError
        If there is none of that name.
    LabError
        If a lab runs on one of them; then none is removed.
    """
    images, digests = cached(), set(in_use)
    if selector is None:
        chosen = [image for image in images if not image.current and image.digest not in digests]
    else:
        chosen = [image for image in images if selector == image.name or _begins(image.digest, selector)]
        if not chosen:
            names = ", ".join(sorted({image.name for image in images})) or "none"
            raise SpecError(f"there is no image {quoted(selector)}; in the cache are: {names}")
        for image in chosen:
            if image.digest in digests:
                raise LabError(
                    f"a lab runs on {image.name} ({image.digest[:12]})",
                    hint="end it first; `fame-lab ls` has it",
                )
    for image in chosen:
        cache.remove(image.directory)
    return chosen


def _begins(digest: str, prefix: str) -> bool:
    return len(prefix) >= 8 and digest.startswith(prefix)  # no shorter one, which may be a mistake


def _appliances() -> list[CachedImage]:
    current = appliance.cached()
    images = []
    records = [path for root in caches("appliance") for path in root.glob("*/appliance.json")]
    for path in sorted(records, key=_build_time):
        image = appliance.load(path.parent)
        if image is not None:
            is_current = current is not None and image.digest == current.digest
            images.append(
                CachedImage("appliance", image.digest, path.parent, is_current, image.kernel_release)
            )
    return images


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


def _build_time(path: Path) -> tuple[int, Path]:
    return path.stat().st_mtime_ns, path  # of equal times the order of a directory is the file system's own
