import pytest
from made_traffic import a_crowd, a_trace, some_samples

from fame_lab.errors import SpecError, TrafficError
from fame_lab.traffic.plots import side_by_side

FAR = 32 << 20
OWN = a_trace({("load", 1, 0): 51_200, ("store", 2, FAR): 7})
REMOTE = a_trace({("load", 2, 4096): 3, ("store", 2, 4096): 2}, ended={"node02": "its QEMU is $off$"})


@pytest.mark.parametrize("what", ["matrix", "heat"])
@pytest.mark.parametrize(("nodes", "count"), [(1, 1), (3, 3), (4, 5), (40, 8)])
def test_several_recordings_are_one_picture(nodes: int, count: int, what: str) -> None:
    many = {f"number {seed}": a_crowd(60, nodes=nodes, looks=0, seed=seed) for seed in range(count)}
    assert side_by_side.plot(many, what)._repr_png_().startswith(b"\x89PNG")


def test_matrices_add_loads_and_stores_and_tell_what_is_remote() -> None:
    figure = side_by_side.plot({"own": OWN, "remote": REMOTE})
    own, remote, *_ = figure.axes
    assert own.get_title() == "own\n51.2k, 0.0% remote"
    assert remote.get_title() == "remote\n5, 100.0% remote"
    assert [text.get_text() for text in own.texts] == ["51.2k", "7"]
    assert [text.get_text() for text in remote.texts] == ["5"]


def test_matrices_have_one_scale_of_colours() -> None:
    own, remote, *_ = side_by_side.plot({"own": OWN, "remote": REMOTE}).axes
    assert own.images[0].get_clim() == remote.images[0].get_clim() == (5, 51_200)


def test_one_place_in_fam_is_one_column_of_all() -> None:
    own, remote, *_ = side_by_side.plot({"own": OWN, "remote": REMOTE}, "heat").axes
    assert own.images[0].get_array().filled(0).tolist() == [[51_200, 0, 0], [0, 0, 7]]  # type: ignore[union-attr]
    assert remote.images[0].get_array().filled(0).tolist() == [[0, 0, 0], [0, 5, 0]]  # type: ignore[union-attr]


@pytest.mark.parametrize("what", ["matrix", "heat"])
def test_the_foot_says_the_source_and_whose_counts_ended_early(what: str) -> None:
    figure = side_by_side.plot({"own": OWN, "remote": REMOTE}, what)
    figure.draw_without_rendering()  # dollars are no mathematics
    foot = figure.get_supxlabel()
    assert foot.startswith("traced: exact counts; not seen: ")
    assert "remote: † node02's counts ended early: its QEMU is " in foot


@pytest.mark.parametrize("what", ["matrix", "heat"])
def test_nothing_at_all_can_be_drawn(what: str) -> None:
    side_by_side.plot({"nothing": a_trace({})}, what).draw_without_rendering()


def test_samples_have_no_author_to_be_drawn() -> None:
    with pytest.raises(TrafficError, match="samples have no author"):
        side_by_side.plot({"own": OWN, "samples": some_samples({0: 1})})


@pytest.mark.parametrize(
    "other", [a_trace({}, nodes=3), a_trace({}, granule=64), a_trace({}, layout="interleaved")]
)
def test_labs_that_are_not_alike_are_refused(other: object) -> None:
    with pytest.raises(SpecError, match="nodes, books or granules"):
        side_by_side.plot({"own": OWN, "other": other})  # type: ignore[dict-item]


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(SpecError, match="'matrix' or 'heat'"):
        side_by_side.plot({"own": OWN}, "pie")
    with pytest.raises(SpecError, match="from 1 to 8"):
        side_by_side.plot({})
