"""Comparing what real nodes measured: that how FAM was mapped is named. Times prove nothing here."""

import os
from pathlib import Path

import pytest

from fame_lab import Lab, LabSpec, compare

pytestmark = pytest.mark.vm


def test_a_probe_is_compared_with_itself_and_with_another_mapping(tmp_path: Path) -> None:
    # Above 4 GiB, where /dev/mem can be write-back.
    with Lab(LabSpec(f"compare-{os.getpid()}", nodes=1, fam="4G"), progress=False) as lab:
        first, again, cached = (
            lab.probe("chase", working_sets=["4K", "64K"], batches=30, mapping=mapping)
            for mapping in ("uc", "uc", "wb")
        )
    same, other = compare(first, again), compare(first.save(tmp_path / "uc"), cached.save(tmp_path / "wb"))
    assert same.differs == ()
    assert len(same.rows) == len(other.rows) > 4
    assert [str(each) for each in other.differs] == [
        "mapping: uncached-minus | write-back",
        "parameters.mapping: uc | wb",
    ]
    text = repr(other)
    assert text.index("write-back") < text.index("agree, ")
    assert "write-back" in other.plot().get_suptitle()
    assert "emulated" in other._repr_html_()
