"""A report as an RO-Crate, which archives of research data read: the same as its manifest, in JSON-LD."""

from __future__ import annotations

from pathlib import Path

from fame_lab.experiments.report.manifest import SOURCE, ReportManifest

__all__ = ["CRATE", "write_crate"]

CRATE = "ro-crate-metadata.json"


def write_crate(folder: Path, manifest: ReportManifest) -> None:
    """Describe what is in a report's folder.

    Parameters
    ----------
    folder : path
        With all that it is to hold, but for this.
    manifest : ReportManifest
    """
    from rocrate.rocrate import ROCrate  # late, for it brings what only a report needs

    crate = ROCrate(folder, init=True)
    crate.name = f"Report of {manifest.notebook}"
    crate.description = "A notebook on emulated fabric-attached memory, executed, with what it measured."
    crate.datePublished = manifest.time["ended"]
    for each in manifest.results:
        entity = crate.dereference(f"{each['directory']}/")
        entity["name"] = each["name"]
        entity["description"] = f"{each['kind']} of cell {each['cell']}: see its manifest.json"
    kit = crate.add_jsonld({"@id": "#fame_lab", "@type": "SoftwareApplication", "name": "fame_lab"})
    kit["softwareVersion"] = manifest.versions["fame_lab"]
    crate.add_action(
        kit,
        object=[crate.dereference(f"{SOURCE}/{manifest.notebook}")],
        result=[crate.dereference(manifest.notebook)],
        properties={
            "name": manifest.commands[0],
            "startTime": manifest.time["began"],
            "endTime": manifest.time["ended"],
            "actionStatus": {
                "@id": f"http://schema.org/{'Failed' if manifest.stopped else 'Completed'}ActionStatus"
            },
        },
    )
    crate.metadata.write(folder)
