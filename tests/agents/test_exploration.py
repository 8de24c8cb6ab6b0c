"""Exploration in the environment."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.agents import Exploration
from lagdyna.mechanics import State

from .toys import randomly_trained, small_actor_critic

HERE = jax.device_put(State(np.asarray([0.3]), np.asarray([-1.0])))


def strategy(**changes: Any) -> Exploration:
    options = {"random_steps": 0, "hold": 1, "random_fraction": 0.0, "action_size": 1}
    return Exploration(**{**options, **changes})


def actions(
    exploration: Exploration, number: int, phases: int = 0, seeks_new: bool | None = None
) -> np.ndarray:
    """The first actions of a run, one per environment step."""
    policy = randomly_trained(small_actor_critic()).policy

    @jax.jit
    def explored(phases: jax.Array) -> jax.Array:
        def one(step: jax.Array) -> jax.Array:
            seed = jnp.zeros((), jnp.uint32)
            return exploration.action(
                policy,
                HERE,
                seed=seed,
                phases=phases,
                actions=step,
                env_steps=step,
                seeks_new=None if seeks_new is None else jnp.asarray(seeks_new),
            )

        return jax.vmap(one)(jnp.arange(number))

    return np.asarray(explored(jax.device_put(np.asarray(phases))))[:, 0]


def test_first_actions_are_random_and_held() -> None:
    exploration = strategy(random_steps=6, hold=3)
    found = actions(exploration, 10)
    assert found[0] == found[1] == found[2] != found[3]
    assert found[3] == found[4] == found[5] != found[6]
    assert len(set(found[6:])) == 4, "the noise of the policy is new in every step"
    # Random actions do not depend on the training phase, the policy's noise does.
    later = actions(exploration, 10, phases=1)
    np.testing.assert_array_equal(later[:6], found[:6])
    assert not np.any(later[6:] == found[6:])


def test_random_actions_fill_the_range() -> None:
    found = actions(strategy(random_steps=400), 400)
    assert np.all(np.abs(found) <= 1)
    assert abs(np.mean(found)) < 0.15
    assert np.std(found) == pytest.approx(1 / np.sqrt(3), abs=0.06)


def test_stretches_of_ten_actions_are_random_each_for_five() -> None:
    pairs = actions(strategy(random_fraction=1.0), 2000).reshape(-1, 5)
    assert np.all(pairs == pairs[:, :1])
    assert np.std(pairs[:, 0]) == pytest.approx(1 / np.sqrt(3), abs=0.06)
    some = actions(strategy(random_fraction=0.25), 2000).reshape(-1, 10)
    none = actions(strategy(), 2000).reshape(-1, 10)
    random = np.all(some[:, 1:5] == some[:, :1], axis=1)
    assert np.mean(random) == pytest.approx(0.25, abs=0.1)
    np.testing.assert_array_equal(some[~random], none[~random])


def test_no_stretch_is_random_while_the_policy_seeks_new_states() -> None:
    seeking, found, plain = (
        actions(strategy(random_fraction=0.5, random_steps=3), 40, seeks_new=seeks_new)
        for seeks_new in (True, False, None)
    )
    np.testing.assert_array_equal(seeking, actions(strategy(random_steps=3), 40))
    np.testing.assert_array_equal(found, plain)
    assert np.any(found != seeking)


@pytest.mark.parametrize(
    "changes", [{"random_steps": -1}, {"hold": 0}, {"random_fraction": 1.5}]
)
def test_impossible_options_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="`random_steps` must not be negative, `hold`"):
        strategy(**changes)
