import pickle

import pytest

from fame_lab import errors
from fame_lab.errors import CommandError, FameError, SpecError


def test_as_text_an_error_is_its_message_and_its_hint() -> None:
    assert str(FameError("nodes is 41", hint="give 1 to 40")) == "nodes is 41: give 1 to 40"
    assert str(FameError("the start was cancelled")) == "the start was cancelled"


def test_neither_message_nor_hint_is_of_any_length() -> None:
    error = FameError("m" * 10_000, hint="h" * 10_000)
    assert len(error.message) == len(error.hint) == 4001


@pytest.mark.parametrize("name", errors.__all__)
def test_an_error_that_comes_from_another_process_has_its_hint(name: str) -> None:
    error = pickle.loads(pickle.dumps(getattr(errors, name)("no", hint="yes")))  # noqa: S301
    assert (error.message, error.hint, str(error)) == ("no", "yes", "no: yes")


def test_what_an_error_has_besides_comes_along() -> None:
    error = SpecError("no")
    error.field = "nodes"
    assert pickle.loads(pickle.dumps(error)).field == "nodes"  # noqa: S301
    assert pickle.loads(pickle.dumps(CommandError("no", 3))).result == 3  # noqa: S301
