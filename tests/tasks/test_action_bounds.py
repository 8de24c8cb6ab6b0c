"""Forces of actions whose bounds are not symmetric about zero."""

import dataclasses
from typing import Any

import gymnasium as gym
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna import UserError
from lagdyna.config import Config
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem, NoDissipation
from lagdyna.systems import Pendulum
from lagdyna.tasks import (
    GymnasiumTask,
    Plant,
    TaskSpec,
    get_task,
    in_bounds,
    known_equations,
    with_action_bounds,
)
from lagdyna.training import OneSeed, Trainer, make_environment_loop

from .. import environments as environments
from ..small import small_config

SPEC = get_task("Pendulum-v1")

magnitudes = st.floats(-5, 5).map(lambda exponent: 10**exponent)
shares = st.floats(-0.95, 0.95)  # where zero is within the bounds


def listening(low: np.ndarray, high: np.ndarray, seen: list[np.ndarray]) -> gym.Env:
    """Make an environment that notes its actions."""

    class Listening(environments.Still):
        def step(self, action: Any) -> Any:
            seen.append(action)
            return super().step(action)

    box = gym.spaces.Box(-1, 1, (3,), np.float32)
    return Listening(box, gym.spaces.Box(low, high, dtype=np.float64))


@pytest.fixture
def registered():
    names = []

    def register(make: Any) -> TaskSpec:
        name = f"lagdyna-tests/Bounds{len(names)}-v0"
        gym.register(name, make)
        names.append(name)
        return dataclasses.replace(SPEC, env_id=name)

    yield register
    for name in names:
        del gym.registry[name]


@given(st.data(), st.integers(1, 3), st.integers(1, 3))
def test_the_force_is_proportional_to_the_environment_s_action(
    x64: None, data: st.DataObject, n: int, m: int
) -> None:
    """At any scaled action, for any scale of forces and any bounds."""
    lows, highs = [], []
    for _ in range(m):
        width, middle = data.draw(magnitudes), data.draw(st.floats(-3, 3))
        lows.append(width * (middle - 1))
        highs.append(width * (middle + 1))
    gains = data.draw(st.lists(magnitudes, min_size=n * m, max_size=n * m))
    gain = np.reshape(gains, (n, m))  # generalised force per unit of the environment's action
    named = [high if high > 0 else low for low, high in zip(lows, highs, strict=True)]
    coordinate = dataclasses.replace(SPEC.coordinates[0])
    spec = dataclasses.replace(
        SPEC,
        coordinates=(coordinate,) * n,
        force=tuple(map(tuple, (gain * named).tolist())),
        action_bounds=tuple(zip(lows, highs, strict=True)),
    )
    scaled = np.asarray(data.draw(st.lists(st.floats(-1, 1), min_size=m, max_size=m)))
    seen: list[np.ndarray] = []
    name = "lagdyna-tests/Listening-v0"
    gym.register(name, lambda: listening(np.asarray(lows), np.asarray(highs), seen))
    try:
        task = GymnasiumTask(dataclasses.replace(spec, env_id=name))
        task.reset(0)
        task.step(scaled)
    finally:
        del gym.registry[name]
    desired = gain @ seen[-1].astype(float)
    force = Plant.of_task(spec).actuation(jnp.zeros(n), jnp.asarray(scaled))
    largest = np.abs(gain) @ np.maximum(np.abs(lows), np.abs(highs))
    np.testing.assert_allclose(force, desired, rtol=1e-6, atol=1e-9 * largest.max())


@pytest.mark.parametrize("bounds", [None, ((-2.0, 2.0),), ((-7.0, 7.0),)])
def test_symmetric_bounds_leave_the_actuation_as_it_is(bounds: Any) -> None:
    spec = dataclasses.replace(SPEC, action_bounds=bounds)
    assert spec.actuation == FixedActuation(SPEC.force)
    assert spec.actuation.offset is None


def test_the_bounds_of_the_environment_are_added_only_if_they_are_not_symmetric(
    registered: Any,
) -> None:
    assert with_action_bounds(SPEC) is SPEC
    spec = registered(lambda: listening(np.array([-1.0]), np.array([3.0]), []))
    bounded = with_action_bounds(spec)
    assert bounded.action_bounds == ((-1.0, 3.0),)
    assert with_action_bounds(bounded) is bounded
    # The middle of the bounds is 1, a third of the force at the upper bound of 3.
    assert bounded.actuation == FixedActuation(((4 / 3,),), (2 / 3,))


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        (((-1.0, 3.0), (-1.0, 1.0)), "2 entries for the 1 columns of `force`"),
        (((3.0, -1.0),), r"the pair \(3, -1\); two finite numbers"),
        (((0.0, np.inf),), r"the pair \(0, inf\); two finite numbers"),
    ],
)
def test_bounds_that_do_not_fit_are_refused(bounds: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"`action_bounds` has .*{said}"):
        dataclasses.replace(SPEC, action_bounds=bounds)


def test_bounds_of_another_environment_are_refused() -> None:
    spec = dataclasses.replace(SPEC, action_bounds=((-1.0, 3.0),))
    with pytest.raises(ValueError, match=r"`action_bounds` was .*leave it out to use those"):
        GymnasiumTask(spec)


def test_an_offset_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`offset` was \(1.0, 2.0\) with a `matrix` of 1 row"):
        FixedActuation(((1.0,),), (1.0, 2.0))


def test_known_equations_get_the_offset_too() -> None:
    spec = dataclasses.replace(SPEC, force=((3.0,),), action_bounds=((-1.0, 3.0),))
    known = known_equations(spec)
    assert known is not None
    assert known.actuation == spec.actuation
    own = MechanicalSystem(
        Pendulum.rod(), Coordinates((True,)), FixedActuation(spec.force), NoDissipation()
    )
    assert in_bounds(own, spec).actuation == spec.actuation
    with_offset = dataclasses.replace(own, actuation=FixedActuation(((2.0,),), (0.0,)))
    assert in_bounds(with_offset, spec) is with_offset
    config = Config(task=spec, model="known")
    for given_equations in (own, own.lagrangian, None):
        plant = config.plant(given_equations)
        assert plant.known is not None
        assert plant.known.actuation == spec.actuation


def test_a_loop_without_the_bounds_is_refused(registered: Any) -> None:
    spec = registered(lambda: listening(np.array([0.0]), np.array([4.0]), []))
    seeds = OneSeed(Trainer(small_config(task=dataclasses.asdict(spec))))
    loop: Any = make_environment_loop(seeds)
    with pytest.raises(UserError, match="not symmetric about zero; `lagdyna.tasks.with_action"):
        loop._open()
    loop.close()
