import math
from typing import Any

import numpy as np
import pytest

from lagdyna.tasks import CoordinateSpec, Plant, TaskSpec, read_state

ANGLE: dict[str, Any] = {"kind": "angle", "velocity": 2, "velocity_limit": 8.0}
LINEAR: dict[str, Any] = {
    "kind": "linear",
    "velocity": 1,
    "position": 0,
    "velocity_range": 2.0,
    "position_range": 3.0,
}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (ANGLE, "either `position`, or both `cos` and `sin`"),
        (ANGLE | {"cos": 0}, "either `position`, or both `cos` and `sin`"),
        (ANGLE | {"sin": 0}, "either `position`, or both `cos` and `sin`"),
        (ANGLE | {"position": 0, "cos": 0, "sin": 1}, "either `position`, or both"),
        (ANGLE | {"position": 0, "cos": 1}, "either `position`, or both"),
        (LINEAR | {"position": None}, "needs `position`"),
        (LINEAR | {"cos": 0, "sin": 1}, "no `cos` or `sin`"),
        (LINEAR | {"sin": 1}, "no `cos` or `sin`"),
        (LINEAR | {"position_range": None}, "needs `position_range`"),
        (LINEAR | {"velocity_range": None}, "needs `velocity_limit` or `velocity_range`"),
        (
            {"kind": "angle", "velocity": 2, "position": 0},
            "needs `velocity_limit` or `velocity_range`",
        ),
        (LINEAR | {"velocity": -1}, r"indices \(-1, .*from 0 on"),
        (LINEAR | {"position": -2}, r"indices .*-2.*from 0 on"),
    ],
)
def test_a_coordinate_needs_its_indices_and_limits(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CoordinateSpec(**fields)


def test_reach_follows_from_the_given_ranges() -> None:
    by_embedding = CoordinateSpec(**ANGLE, cos=0, sin=1)
    assert by_embedding.reach == (math.pi, 8.0)
    slower = CoordinateSpec(**ANGLE, position=0, velocity_range=5.0)
    assert slower.reach == (math.pi, 5.0)
    assert CoordinateSpec(**LINEAR).reach == (3.0, 2.0)
    assert by_embedding.indices == (2, 0, 1)
    assert slower.indices == (2, 0)


def test_ends_beyond_is_the_default_position_range() -> None:
    ended = CoordinateSpec(**ANGLE, position=0, ends_beyond=0.2)
    assert ended.reach == (0.2, 8.0)
    narrow = CoordinateSpec(**ANGLE, position=0, position_range=0.5)
    assert narrow.reach == (0.5, 8.0)
    cart = CoordinateSpec(**LINEAR | {"position_range": None, "ends_beyond": 2.4})
    assert cart.reach == (2.4, 2.0)
    stopped = CoordinateSpec(**LINEAR | {"position_range": None, "stops_at": 1.5})
    assert stopped.reach == (1.5, 2.0)
    assert CoordinateSpec(**LINEAR, stops_at=1.5).reach == (1.5, 2.0)
    assert CoordinateSpec(**LINEAR, stops_at=9.0).reach == (3.0, 2.0)


@pytest.mark.parametrize(
    ("coordinate", "stop"),
    [(LINEAR, -2.0), (LINEAR, math.inf), (LINEAR, math.nan), (ANGLE, 5.0), (ANGLE, 0.0)],
)
def test_impossible_stops_are_refused(coordinate: dict[str, Any], stop: float) -> None:
    embedded = {} if coordinate is LINEAR else {"cos": 3, "sin": 4}
    with pytest.raises(ValueError, match=r"`stops_at` was .*at most pi for an angle"):
        CoordinateSpec(**coordinate, **embedded, stops_at=stop)


def test_stops_reach_the_model() -> None:
    rail = CoordinateSpec(**LINEAR, stops_at=1.5)
    task = a_task(coordinates=(rail, CoordinateSpec(**ANGLE, cos=3, sin=4)), context=(7,))
    assert task.stops == (1.5, math.inf, math.inf)
    assert Plant.of_task(task).stops == task.stops
    assert Plant.of_task(a_task()).stops is None


def a_task(**fields: Any) -> TaskSpec:
    both = (CoordinateSpec(**LINEAR), CoordinateSpec(**ANGLE, cos=3, sin=4))
    known: dict[str, Any] = {"env_id": "x", "coordinates": both, "dt": 0.1}
    return TaskSpec(**{**known, "force": ((1.0,), (0.0,)), **fields})


def test_properties_derived_from_the_coordinates() -> None:
    task = a_task(force=((1.0, 0.0, 0.0), (0.0, 2.0, 3.0)))
    assert task.n == 2
    assert task.action_size == 3
    assert task.joint_coordinates.angles == (False, True)
    assert task.velocity_limits == (math.inf, 8.0)
    assert task.reach == ((3.0, math.pi), (2.0, 8.0))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"force": ((1.0,),)}, "`force` has 1 rows for 2 coordinates"),
        ({"force": ((1.0,), (0.0,), (0.0,))}, "`force` has 3 rows for 2 coordinates"),
        ({"force": ((1.0,), (0.0, 1.0))}, "`force` must have the same number of columns"),
        ({"force": ((), ())}, "one per action"),
        ({"coordinates": (), "force": ()}, "at least one coordinate"),
    ],
)
def test_force_must_have_a_row_per_coordinate_and_a_column_per_action(
    fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        a_task(**fields)


def test_termination_is_either_known_or_learned() -> None:
    ended = CoordinateSpec(**LINEAR | {"ends_beyond": 2.4})
    angle = CoordinateSpec(**ANGLE, cos=3, sin=4)
    assert a_task(coordinates=(ended, angle)).ends_beyond == (2.4, math.inf)
    assert a_task().ends_beyond == (math.inf, math.inf)
    with pytest.raises(ValueError, match="were both given"):
        a_task(coordinates=(ended, angle), terminates=True)


@pytest.mark.parametrize("other", [0, 1, 2])
def test_an_angle_is_relative_to_another_angle(other: int) -> None:
    """A cart and a pole have only one angle."""
    pole = CoordinateSpec(**ANGLE, cos=3, sin=4, relative_to=other)
    said = rf"`coordinates\[1\].relative_to` was {other}; the number of another"
    with pytest.raises(ValueError, match=said):
        a_task(coordinates=(CoordinateSpec(**LINEAR), pole))
    with pytest.raises(ValueError, match="only angles accept it"):
        CoordinateSpec(**LINEAR, relative_to=other)


def test_context_follows_the_coordinates_and_does_not_move() -> None:
    task = a_task(context=(7, 5), context_range=0.2)
    assert task.n == 2
    assert task.joint_coordinates.angles == (False, True)
    assert task.state_coordinates.angles == (False, True, False, False)
    assert task.reach == ((3.0, math.pi, 0.2, 0.2), (2.0, 8.0, 0.0, 0.0))
    assert task.velocity_limits == (math.inf, 8.0, math.inf, math.inf)
    assert task.ends_beyond == (math.inf,) * 4
    assert a_task().state_coordinates == a_task().joint_coordinates
    observed = np.asarray([1.0, 2.0, 3.0, 1.0, 0.0, 5.5, 6.6, 7.7])
    q, qd = read_state(task, observed)
    np.testing.assert_allclose(q, [1.0, 0.0, 7.7, 5.5], rtol=1e-6)
    np.testing.assert_array_equal(qd, [2.0, 3.0, 0.0, 0.0])


def test_a_chain_with_context_is_still_a_chain() -> None:
    task = a_task(context=(7, 5), context_range=0.2, chain=True)
    assert task.joint_coordinates.chain
    assert task.state_coordinates.chain
    # The context is not an angle, so it is not part of the chain.
    more = task.state_coordinates.embedding_size - task.joint_coordinates.embedding_size
    assert more == 2


def test_links_of_an_arm_need_a_target_in_the_context() -> None:
    angles = (CoordinateSpec(**ANGLE, cos=3, sin=4),) * 2
    arm: dict[str, Any] = {"coordinates": angles, "context": (7, 5)}
    lengths = (0.1, 0.2)
    assert a_task(**arm, link_lengths=lengths).state_coordinates.link_lengths == lengths
    for fields in (
        {"link_lengths": lengths},
        {**arm, "link_lengths": (0.1,)},
        {**arm, "link_lengths": (0.1, -0.2)},
        {**arm, "context": (7,), "link_lengths": lengths},
    ):
        with pytest.raises(ValueError, match="`link_lengths` was .*x and y of a target"):
            a_task(**fields)
