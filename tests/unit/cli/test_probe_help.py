import pytest

from fame_lab.cli.main import main


def test_the_help_of_a_probe_that_is_named_has_its_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "demo", "chase", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Usage: fame-lab probe" in text
    assert "Parameters of chase, each by -p NAME=VALUE: node " in text
    assert "batches a whole number from 30 to 1000; by default 50. " in text
    assert "batch_ms 1 to 1000 milliseconds; by default 1.0. " in text
    assert "mapping one of uc, wc, wb; by default uc. How the CPU is asked" in text


def test_the_help_without_a_probe_lists_no_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "-h"]) == 0
    assert "Parameters of" not in capsys.readouterr().out


def test_the_help_of_no_probe_names_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "demo", "levitate", "-h"]) == 2
    assert "there are atomics, bandwidth" in capsys.readouterr().err
