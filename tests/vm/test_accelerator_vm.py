import pytest

from fame_lab.host import accelerator


@pytest.mark.vm
def test_this_host_comes_to_an_answer() -> None:
    from fame_lab.guest.images import appliance

    chosen = accelerator.choose("auto", appliance.ensure())
    assert chosen.kind in ("kvm", "tcg")
    assert chosen.reason
    assert accelerator.choose("auto", appliance.ensure()) == chosen
