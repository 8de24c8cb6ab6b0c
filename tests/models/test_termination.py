import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.data import Experience, ReplayBuffer
from lagdyna.learners import GradientLearner, TerminationLoss, learn
from lagdyna.mechanics import Coordinates, State
from lagdyna.models import BoundTermination, NoTermination, TerminationNetwork

from ..helpers import close, normals, randomised, shape_of
from ..learners.recordings import loss_of

MIXED = Coordinates((False, True))
LEARNER = GradientLearner(optax.adam(1e-2), TerminationLoss())
anything = st.floats(-3, 3)
probability = eqx.filter_jit(lambda model, state: model(state))
probabilities = eqx.filter_jit(lambda model, states: jax.vmap(model)(states))


def a_state(x: float, angle: float) -> State:
    return jax.device_put(State(np.asarray([x, angle]), np.zeros(2)))


def test_no_termination_has_probability_zero() -> None:
    assert NoTermination()(a_state(1e6, 3.0)) == 0
    assert jax.tree.leaves(NoTermination()) == []


@given(anything, anything)
def test_a_bound_ends_an_episode_where_it_is_exceeded(
    x64: None, x: float, angle: float
) -> None:
    """The probability is 1/2 at a bound of either coordinate and grows beyond it."""
    ends = BoundTermination((2.0, 0.5))
    exceeded = max((abs(x) - 2.0) / 2.0, (abs(angle) - 0.5) / 0.5)  # relative to the bounds
    assert float(probability(ends, a_state(x, angle))) == pytest.approx(
        1 / (1 + math.exp(min(-exceeded / 0.02, 700))), rel=1e-9, abs=1e-12
    )


def test_a_coordinate_without_a_bound_never_terminates() -> None:
    ends = BoundTermination((math.inf, 0.5))
    assert probability(ends, a_state(1e9, 0.3)) < 1e-6
    assert probability(ends, a_state(0.0, 0.7)) > 1 - 1e-6
    slope = jax.jit(jax.grad(lambda state: ends(state)))(a_state(5.0, 0.5)).q
    assert slope[0] == 0
    assert slope[1] > 1, "the edge can be seen by a gradient"


@pytest.mark.parametrize("bounds", [(math.inf, math.inf), (0.0, 1.0), (-1.0, 1.0)])
def test_invalid_bounds_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="`bounds`"):
        BoundTermination(bounds)


def test_a_learned_termination_is_a_probability_periodic_in_angles(x64: None) -> None:
    model = randomised(shape_of(TerminationNetwork, MIXED, (2.0, 3.0), hidden=(6,)), 0, 0.4)
    q, qd = np.random.default_rng(1).normal(size=(2, 2))
    moved = np.asarray([[0, 0], [0, 2 * np.pi], [1, 0], [0, 0]])
    faster = np.asarray([[0, 0], [0, 0], [0, 0], [1, 1]])
    states = jax.device_put(State(q + moved, qd + faster))

    @eqx.filter_jit
    def logits(model: TerminationNetwork, states: State) -> jax.Array:
        return jax.vmap(model.logit)(states)

    found = np.asarray(probabilities(model, states))
    here, turned, *elsewhere = found
    assert 0 < here < 1
    close(found, 1 / (1 + np.exp(-np.asarray(logits(model, states)))), 1e-12)
    close(turned, here, 1e-12)
    assert np.all(np.abs(elsewhere - here) > 1e-3)


def test_the_loss_is_the_cross_entropy(x64: None) -> None:
    model = randomised(shape_of(TerminationNetwork, MIXED, (2.0, 3.0), hidden=(6,)), 0, 0.4)
    states = State(*normals(2, 2, 8, 2))
    ended = np.arange(8) % 3 == 0
    batch = jax.device_put(Experience(states, np.zeros((8, 1)), np.zeros(8), states, ended))
    p = np.asarray(probabilities(model, states))
    desired = -np.mean(np.where(ended, np.log(p), np.log(1 - p)))
    close(loss_of(TerminationLoss(), model, batch), desired, 1e-12)


def fallen(states: State) -> np.ndarray:
    """Evaluate the rule to be learned: the pole leans by more than 0.4."""
    return np.abs(np.asarray(states.q)[:, 1]) > 0.4


def test_a_threshold_is_learned_from_few_terminations() -> None:
    """Thirty terminations in 300 steps, sampled in equal parts, classify new states."""
    rng = np.random.default_rng(0)
    lean = np.concatenate([rng.uniform(-0.4, 0.4, 270), rng.choice([-1, 1], 30) * 0.5])
    lean[270:] += rng.uniform(-0.09, 0.09, 30)
    q = np.stack([rng.uniform(-1, 1, 300), lean], axis=1)
    states = jax.device_put(State(q, rng.normal(size=(300, 2)) * 0.5))
    ended = fallen(states)
    assert ended.sum() == 30
    steps = jax.device_put(Experience(states, np.zeros((300, 1)), np.zeros(300), states, ended))

    @eqx.filter_jit
    def taught(steps: Experience) -> TerminationNetwork:
        buffer = ReplayBuffer.empty(400, 2, 1).add(steps, jnp.asarray(0))
        rows = buffer.experience.terminated
        weights = rows / rows.sum() + (buffer.filled & ~rows) / (~steps.terminated).sum()
        model = TerminationNetwork(MIXED, (1.0, 1.0), hidden=(16,), key=jax.random.key(0))
        fit = learn(
            LEARNER,
            model,
            LEARNER.init(model),
            lambda key: buffer.sample_weighted(key, 64, weights),
            key=jax.random.key(1),
            steps=600,
        )
        return fit.model

    model = taught(steps)
    new = jax.device_put(
        State(rng.uniform(-1, 1, (1000, 2)) * [1.0, 0.6], rng.normal(size=(1000, 2)) * 0.5)
    )
    clear = (
        np.abs(np.abs(np.asarray(new.q)[:, 1]) - 0.4) > 0.06
    )  # away from the edge, which has no data
    right = (np.asarray(probabilities(model, new)) > 0.5) == fallen(new)
    assert right[clear].mean() > 0.97
    assert fallen(new)[clear].mean() == pytest.approx(0.24, abs=0.06)


def test_weighted_sampling_follows_the_weights() -> None:
    weights = np.asarray([0.0, 1.0, 0.0, 3.0, 4.0, 0.0, 5.0, 5.0, 5.0])  # the last are empty

    @jax.jit
    def sampled(weights: jax.Array) -> jax.Array:
        places = jnp.arange(6.0)[:, None]
        state = State(places, places)
        buffer = ReplayBuffer.empty(9, 1, 1).add(
            Experience(state, places, places[:, 0], state, jnp.zeros(6, bool)), jnp.asarray(0)
        )
        return buffer.sample_weighted(jax.random.key(0), 4000, weights).reward

    drawn = sampled(weights)
    counts = np.bincount(np.asarray(drawn, int), minlength=6) / 4000
    np.testing.assert_allclose(counts, [0, 0.125, 0, 0.375, 0.5, 0], atol=0.03)


def test_the_task_description_selects_the_termination() -> None:
    from lagdyna.tasks import get_task
    from lagdyna.training import Trainer

    from ..small import small_config

    pendulum = get_task("Pendulum-v1")
    bounded = dataclasses.replace(
        pendulum,
        coordinates=(dataclasses.replace(pendulum.coordinates[0], ends_beyond=0.2),),
    )
    learned = dataclasses.replace(pendulum, terminates=True)
    kinds = []
    for task in (pendulum, bounded, learned):
        config = dataclasses.replace(small_config(), task=task)
        shapes = eqx.filter_eval_shape(lambda c=config: Trainer(c).init())
        kinds.append(type(shapes.world.termination))
        assert bool(jax.tree.leaves(shapes.learners.termination)) == task.terminates
    assert kinds == [NoTermination, BoundTermination, TerminationNetwork]
