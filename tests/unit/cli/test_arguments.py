from pathlib import Path

import click
import pytest

from fame_lab.cli import main
from fame_lab.cli.arguments import check_picture, named
from fame_lab.errors import SpecError


@pytest.mark.parametrize("name", ["it.exe", "nowhere/it.png", "there.png", "folder.png"])
def test_a_picture_that_cannot_be_written_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "there.png").write_text("kept")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(SpecError, match=name):
        check_picture(tmp_path / name)


def test_one_that_is_there_may_be_replaced_where_the_same_words_are_said_again(tmp_path: Path) -> None:
    (tmp_path / "there.png").write_text("old")
    check_picture(tmp_path / "there.png", replaced=True)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(SpecError, match="folder"):
        check_picture(tmp_path / "folder.png", replaced=True)


def test_a_sweep_refuses_its_picture_before_it_measures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sweep", "chase", "--over", "nodes=1", "--output", str(tmp_path / "swept")]
    assert main.main([*words, "--plot", str(tmp_path / "nowhere/it.png")]) == 1
    assert "there is no directory" in capsys.readouterr().err
    assert not (tmp_path / "swept").exists()


def test_a_name_and_its_value_are_parted_at_the_first_sign() -> None:
    assert named("label=a=b") == ("label", "a=b")
    for text in ("nodes", "=4", "a b=4"):
        with pytest.raises(click.BadParameter):
            named(text)
