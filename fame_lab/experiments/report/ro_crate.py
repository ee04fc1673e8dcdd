"""A report as an RO-Crate, which archives of research data read: the same as its manifest, in JSON-LD."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["CRATE", "write_crate"]

CRATE = "ro-crate-metadata.json"


def write_crate(folder: Path, told: dict[str, Any]) -> None:
    """Describe what is in a report's folder.

    Parameters
    ----------
    folder : path
        With all that it is to hold, but for this.
    told : dict
        The report's manifest.
    """
    from rocrate.rocrate import ROCrate  # late, for it brings what only a report needs

    crate = ROCrate(folder, init=True)
    crate.name = f"Report of {told['notebook']}"
    crate.description = "A notebook on emulated fabric-attached memory, executed, with what it measured."
    crate.datePublished = told["time"]["ended"]
    for each in told["results"]:
        entity = crate.dereference(f"{each['directory']}/")
        entity["name"] = each["name"]
        entity["description"] = f"{each['kind']} of cell {each['cell']}: see its manifest.json"
    kit = crate.add_jsonld({"@id": "#fame_lab", "@type": "SoftwareApplication", "name": "fame_lab"})
    kit["softwareVersion"] = told["versions"]["fame_lab"]
    crate.add_action(
        kit,
        object=[crate.dereference(f"source/{told['notebook']}")],
        result=[crate.dereference(told["notebook"])],
        properties={
            "name": told["commands"][0],
            "startTime": told["time"]["began"],
            "endTime": told["time"]["ended"],
            "actionStatus": {
                "@id": f"http://schema.org/{'Failed' if told['stopped'] else 'Completed'}ActionStatus"
            },
        },
    )
    crate.metadata.write(folder)
