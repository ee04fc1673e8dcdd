import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_plan import a_plan

from fame_lab.errors import SpecError
from fame_lab.experiments.sweep.plan import Plan
from fame_lab.spec.lab_spec import LabSpec

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def test_every_combination_comes_once_a_repeat_and_repeats_follow_each_other() -> None:
    plan = a_plan()
    assert len({(point.places, point.repeat) for point in plan.points}) == 2 * 3 * 3
    assert [point.repeat for point in plan.points] == sorted(point.repeat for point in plan.points)
    assert [point.number for point in plan.points] == list(range(18))


def test_points_of_one_lab_follow_each_other_so_that_it_starts_once_a_repeat() -> None:
    blocks = [a_plan().block_of(point) for point in a_plan().points]
    changes = sum(before != after for before, after in itertools.pairwise(blocks))
    assert changes + 1 == len(set(blocks)) == 2 * 3


def test_the_order_is_the_seeds() -> None:
    assert a_plan().order == a_plan().order
    orders = {a_plan(seed=seed).order for seed in range(8)}
    assert len(orders) == 8
    firsts = {a_plan(seed=seed).points[0].places for seed in range(40)}
    assert len(firsts) == 6


def test_a_plan_is_what_it_was_after_json() -> None:
    plan = a_plan({"nodes": [1, 2], "working_sets": [["4K", "16K"], ["64K"]]}, parameters={"batches": 30})
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


@given(JSON, st.sampled_from(["over", "targets", "repeats", "seed", "spec", "parameters", "order", "format"]))
def test_a_forged_plan_is_an_error_of_a_known_kind(value: Any, part: str) -> None:
    fields = json.loads(json.dumps(a_plan().to_dict())) | {part: value}
    try:
        plan = Plan.from_dict(fields)
    except (ValueError, TypeError, LookupError, AttributeError):
        return
    assert len(plan.points) == 18


def test_a_lab_has_what_is_swept_and_the_rest_of_the_spec() -> None:
    plan = a_plan(spec=LabSpec("mine", fam="1M", trace=True))
    one, two = (plan.spec_of(next(p for p in plan.points if p.places[0] == place)) for place in (0, 1))
    assert (one.nodes, two.nodes, one.trace, one.fam) == (1, 2, True, 1 << 20)


def test_what_a_spec_chose_by_itself_is_chosen_anew() -> None:
    plan = a_plan(
        {"nodes": [2, 8], "image": ["appliance", "debian"]}, spec=LabSpec("mine", nodes=2, fam="1M")
    )
    specs = [plan.spec_of(point) for point in plan.points]
    assert {(spec.nodes, spec.book) for spec in specs} == {(2, 1 << 19), (8, 1 << 17)}
    assert {(spec.image, spec.memory_size >> 20) for spec in specs} == {("appliance", 128), ("debian", 256)}


def test_each_lab_has_a_name_of_its_own_by_which_the_sweep_knows_it() -> None:
    plan, other = a_plan(spec=LabSpec("a" * 32)), a_plan(spec=LabSpec("a" * 32))
    names = {plan.lab_of(plan.points[0]).name for _ in range(20)}
    assert len(names) > 15 and all(map(plan.is_mine, names))
    assert not any(map(other.is_mine, names))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({"repeats": 0}, "repeats is 0: give a whole number from 1 to"),
        ({"seed": True}, "seed is True"),
        ({"spec": "mine"}, "spec is 'mine': give a LabSpec"),
        ({"repeats": 100_001}, "600,006 points: give fewer"),
        ({"over": {"nodes": [1, 41]}}, "no lab with nodes=41: nodes is 41: give a whole number from 1 to 40"),
        ({"over": {"accel": ["kvm", "tcg"], "trace": [False, True]}}, "accel=kvm, trace=True"),
        ({"parameters": {"colour": 1}}, "no parameter 'colour'"),
    ],
)  # fmt: skip
def test_every_lab_and_parameter_is_checked_before_any_starts(words: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint):
        a_plan(**words)


def test_what_another_plan_asked_for_otherwise_is_named() -> None:
    plan = a_plan(parameters={"batches": 30})
    assert plan.differences(a_plan(parameters={"batches": 30})) == []
    other = a_plan({"nodes": [1, 2, 4]}, seed=7, spec=LabSpec("mine", fam="2M"))
    assert plan.differences(other) == [
        "over.nodes was [1, 2] and is [1, 2, 4]",
        "over.stride was [64, 128, 256] and is not given",
        "seed was 0 and is 7",
        "spec.fam was 1048576 and is 2097152",
        "spec.book was 524288 and is 1048576",
        "parameters.batches was 30 and is not given",
    ]


def test_a_plan_of_the_release_before_is_the_same_sweep_under_the_names_of_now() -> None:
    over, parameters = {"peer_timeout": [5, 10]}, {"slots": 64}
    plan = a_plan(over, probe="ring", parameters=parameters)
    saved = json.loads(json.dumps(plan.to_dict()).replace("peer_timeout", "patience"))
    assert "patience" in saved["over"]
    assert Plan.from_dict(saved).axes == plan.axes
    assert Plan.from_dict(saved).differences(plan) == []
    plan = a_plan({"slots": [2, 4]}, probe="ring", parameters={"peer_timeout": 5})
    saved = json.loads(json.dumps(plan.to_dict()).replace("peer_timeout", "patience"))
    assert Plan.from_dict(saved).parameters_of(plan.points[0])["peer_timeout"] == 5
    assert Plan.from_dict(saved).differences(plan) == []


def test_a_sweep_asked_for_by_an_earlier_name_is_the_same_and_warns() -> None:
    with pytest.warns(DeprecationWarning, match="patience is called peer_timeout"):
        plan = a_plan({"patience": [5, 10]}, probe="ring")
    assert plan.differences(a_plan({"peer_timeout": [5, 10]}, probe="ring")) == []
    with pytest.warns(DeprecationWarning, match="patience is called peer_timeout"):
        plan = a_plan({"slots": [2, 4]}, probe="ring", parameters={"patience": 5})
    assert plan.parameters == {"peer_timeout": 5}
