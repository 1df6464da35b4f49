from __future__ import annotations

from engine.domain.plan import Planned, Target, Unknown
from engine.language.program import Bound
from engine.planning.document import PlanDocument, PlanStep
from engine.planning.drift import compare, differences
from engine.planning.progress import ChangeState


def planned(before: object, after: object, **counts: int) -> Planned:
    return Planned("toy.set", Target("toy", "x"), {"v": before}, {"v": after}, counts)


def step(plan: Planned) -> PlanStep:
    return PlanStep("s", "action", "s", "planned", planned=plan)


def test_the_same_change_is_no_drift() -> None:
    assert compare(step(planned(1, 2)), "s", planned(1, 2), {}, {}) == []


def test_another_before_is_drift_and_names_the_field() -> None:
    (found,) = compare(step(planned(1, 2)), "s", planned(5, 2), {}, {})
    assert "v (before)" in str(found)
    assert "was 1, is 5" in str(found)


def test_the_runs_own_earlier_change_is_none() -> None:
    own = {("toy:x", "v"): 5}
    assert compare(step(planned(1, 2)), "s", planned(5, 2), {}, own) == []


def test_drift_that_leaves_a_no_op_is_none() -> None:
    assert compare(step(planned(1, 2)), "s", planned(2, 2), {}, {}) == []


def test_counts_may_fall_but_not_rise_beyond_the_plan_or_its_bounds() -> None:
    approved = step(planned(1, 2, rows=10))
    assert compare(approved, "s", planned(1, 2, rows=9), {}, {}) == []
    assert len(compare(approved, "s", planned(1, 2, rows=11), {}, {})) == 1
    assert compare(approved, "s", planned(1, 2, rows=11), {"rows": Bound(max=20)}, {}) == []
    assert len(compare(approved, "s", planned(1, 2, rows=21), {"rows": Bound(max=20)}, {})) == 1


def test_an_unknown_change_needs_bounds() -> None:
    (found,) = compare(None, "s", planned(1, 2), {}, {})
    assert "without bounds" in str(found.planned)
    assert compare(None, "s", planned(1, 2), {"v": Bound(min=1, max=3)}, {}) == []
    assert len(compare(None, "s", planned(1, 9), {"v": Bound(min=1, max=3)}, {})) == 1
    assert len(compare(None, "s", planned(1, "text"), {"v": Bound(max=3)}, {})) == 1
    assert len(compare(None, "s", planned(1, 2), {"absent": Bound(max=3)}, {})) == 1


def test_bounds_may_be_quantities() -> None:
    bounds = {"v": Bound(min="512Mi", max="2Gi")}
    assert compare(None, "s", planned("1Gi", "2048Mi"), bounds, {}) == []
    (found,) = compare(None, "s", planned("1Gi", "2049Mi"), bounds, {})
    assert str(found) == "s: v was 'between 512Mi and 2Gi', is '2049Mi'"
    assert len(compare(None, "s", planned("1Gi", "much"), bounds, {})) == 1


def test_an_unknown_value_inside_a_known_change_is_held_to_its_bounds() -> None:
    approved = step(planned(1, Unknown()))
    assert len(compare(approved, "s", planned(1, 7), {}, {})) == 1
    assert compare(approved, "s", planned(1, 7), {"v": Bound(max=8)}, {}) == []


def test_what_only_the_effect_decides_is_approved_as_shown() -> None:
    approved = step(planned(1, Unknown("the moment of the restart")))
    assert compare(approved, "s", planned(1, Unknown("the moment of the restart")), {}, {}) == []
    assert len(compare(approved, "s", planned(1, Unknown("something else")), {}, {})) == 1


def test_differences_name_what_a_new_plan_says_differently() -> None:
    def document(*steps: PlanStep) -> PlanDocument:
        return PlanDocument("p", "r", "", {}, "approve", steps)

    old = document(step(planned(1, 2)), PlanStep("gone", "action", "gone", "notify"))
    new = document(step(planned(3, 2)))
    texts = [str(item) for item in differences(old, new)]
    assert texts == ["s: v (before) was 1, is 3", "gone: step was 'notify', is 'absent'"]
    assert differences(old, old) == []


def test_own_values_follow_undo() -> None:
    from engine.planning.drift import own_values

    change = ChangeState("s", "k", planned(1, 2).as_json(), {"after": {"v": 2}}, None)
    assert own_values([change]) == {("toy:x", "v"): 2}
    change.undone = True
    assert own_values([change]) == {("toy:x", "v"): 1}
