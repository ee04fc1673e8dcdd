import pytest

from fame_lab.cli.main import main


def test_the_help_of_a_probe_that_is_named_has_its_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "demo", "chase", "--help"]) == 0
    text = capsys.readouterr().out
    assert "Parameters of chase" in text
    assert "30 to 1000" in text
    assert main(["probe", "--help"]) == 0
    assert "Parameters of" not in capsys.readouterr().out


def test_the_help_of_no_probe_names_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "demo", "chess", "--help"]) == 1
    assert "chase" in capsys.readouterr().err
