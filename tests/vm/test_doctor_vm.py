from pathlib import Path

import pytest

from fame_lab.host.doctor import doctor as visit
from fame_lab.host.doctor.diagnosis import QemuCheck


@pytest.mark.vm
def test_each_qemu_is_named_with_what_it_can_do(newer_qemu: Path) -> None:
    qemus = {each.qemu: each for each in visit.doctor().checks if isinstance(each, QemuCheck)}
    host, newer = qemus["auto"], qemus["backports"]
    assert newer.path == str(newer_qemu) and newer.version != host.version
    for each in (host, newer):
        can = {ability.name: ability.works for ability in each.abilities}
        checks = can.pop("could run a coherence checker, which is to come")
        assert can == dict.fromkeys(
            ("starts nodes", "counts accesses", "keeps their order", "restores nodes"), True
        )
        assert checks == (int(each.version.split(".")[0]) >= 9)
        assert each.verdict == "ok"
