import json
from pathlib import Path

from made_notebook import KEEPS, notebook
from rocrate.rocrate import ROCrate

from fame_lab.experiments.report.report import report


def test_a_report_is_a_crate_that_names_every_file_and_what_made_them(tmp_path: Path) -> None:
    source = notebook(tmp_path, KEEPS, parameters="nodes = 2")
    folder = report(source, tmp_path / "out").parent
    crate = ROCrate(folder)
    named = {entity.id for entity in crate.data_entities}
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files - {"ro-crate-metadata.json"} <= named
    (action,) = crate.get_by_type("CreateAction")
    assert action["instrument"]["name"] == "fame_lab"
    assert action["object"][0].id == "source/n.ipynb"
    assert crate.dereference("data/001-made/")["description"].startswith("result of cell 2")
    assert str(tmp_path) not in json.dumps(crate.metadata.generate()).replace(action["name"], "")
