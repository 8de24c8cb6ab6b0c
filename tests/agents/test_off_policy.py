"""Actor-critics that learn from transitions, and Dyna, which imagines some of them."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Scalar

from lagdyna.agents import SAC, TD3, AbstractOffPolicy, ActorCritic, Dyna, Features
from lagdyna.data import Experience, ReplayBuffer
from lagdyna.mechanics import Coordinates, State
from lagdyna.models import AbstractReward, BoundTermination, GivenReward
from lagdyna.simulate import AbstractTransition

from ..helpers import PENDULUM, close

FEATURES = Features(PENDULUM, (4.0,))
BATCH = 32
PLAIN, ADAM = optax.sgd(1e-2), optax.adam(3e-3)


def options(**changes: Any) -> dict[str, Any]:
    return {
        "features": FEATURES,
        "action_size": 1,
        "hidden": (24,),
        "activation": jnp.tanh,
        "critics": 2,
        "discount": 0.9,
        "target_rate": 0.25,
        "optimiser": PLAIN,
        **changes,
    }


def some_experience(seed: int = 0, rows: int = BATCH, ended: bool = False) -> Experience:
    keys = jax.random.split(jax.random.key(seed), 4)
    q, qd, action, reward = (jax.random.normal(key, (rows, 1)) for key in keys)
    state = State(q, qd)
    following = State(q + 0.1 * qd, qd + 0.1)
    over = jnp.full(rows, ended)
    return Experience(state, jnp.tanh(action), reward[:, 0], following, over)


def weights(model: Any) -> Float[Array, " weights"]:
    return ravel_pytree(eqx.filter(model, eqx.is_inexact_array))[0]


def spread(learned: ActorCritic) -> ActorCritic:
    """Targets that differ from what they follow, as after some updates."""
    other = jax.tree.map(lambda x: 1.1 * x if eqx.is_inexact_array(x) else x, learned)
    return learned._replace(targets=other.targets, target_policy=other.target_policy)


def values(critics: Any, state: State, action: Array) -> np.ndarray:
    return np.stack([jax.vmap(critic)(state, action) for critic in critics])


def test_td3_critics_go_for_the_reward_and_the_smaller_value_that_follows(x64: None) -> None:
    agent = TD3(**options(), target_noise=0.3, target_clip=0.4)
    before, batch, key = (
        spread(agent.init(jax.random.key(0))),
        some_experience(),
        jax.random.key(5),
    )
    _, metrics = agent.update(before, batch, key)
    noise = np.clip(0.3 * np.asarray(jax.random.normal(key, (BATCH, 1))), -0.4, 0.4)
    mode = np.asarray(jax.vmap(before.target_policy.mode)(batch.next_state))
    both = values(before.targets, batch.next_state, jnp.asarray(np.clip(mode + noise, -1, 1)))
    assert 0 < np.mean(both[0] < both[1]) < 1, "the smaller one must matter"
    wanted = np.asarray(batch.reward) + 0.9 * both.min(axis=0)
    found = values(before.critics, batch.state, batch.action)
    close(metrics["critic_loss"], np.sum(np.mean((found - wanted) ** 2, axis=1)), 1e-10)
    close(metrics["value"], np.mean(found), 1e-10)
    assert metrics["skipped"] == 0


@pytest.mark.parametrize("kind", [TD3, SAC])
def test_after_an_end_nothing_follows(kind: type[AbstractOffPolicy], x64: None) -> None:
    agent: Any = kind(**options())
    learned, batch = spread(agent.init(jax.random.key(0))), some_experience(ended=True)
    _, metrics = agent.update(learned, batch, jax.random.key(1))
    off = values(learned.critics, batch.state, batch.action) - np.asarray(batch.reward)
    close(metrics["critic_loss"], np.sum(np.mean(off**2, axis=1)), 1e-10)


def test_the_actor_climbs_the_first_critic_every_other_update(x64: None) -> None:
    agent = TD3(**options(), delay=2)
    learned, batch = agent.init(jax.random.key(0)), some_experience()
    waited, _ = agent.update(learned, batch, jax.random.key(1))
    for part in ("policy", "target_policy", "targets"):
        np.testing.assert_array_equal(
            weights(getattr(waited, part)), weights(getattr(learned, part))
        )
    acted, _ = agent.update(waited, batch, jax.random.key(2))

    def worth(policy: Any) -> Scalar:
        actions = jax.vmap(policy.mode)(batch.state)
        return jnp.mean(jax.vmap(acted.critics[0])(batch.state, actions))

    step = weights(acted.policy) - weights(waited.policy)
    gradient = weights(eqx.filter_grad(worth)(waited.policy))
    np.testing.assert_allclose(step, 1e-2 * gradient, rtol=1e-8)
    for targets, critics in (("targets", "critics"), ("target_policy", "policy")):
        old, to = weights(getattr(waited, targets)), weights(getattr(acted, critics))
        np.testing.assert_allclose(
            weights(getattr(acted, targets)), old + 0.25 * (to - old), rtol=1e-10
        )


@pytest.mark.parametrize("warm", [-20.0, 20.0])
def test_the_temperature_rises_where_entropy_falls_short(warm: float, x64: None) -> None:
    """`warm` makes the policy's noise next to nothing, or more than it needs."""
    agent = SAC(**options())
    learned = agent.init(jax.random.key(0))
    policy: Any = learned.policy
    last = policy.network.layers[-1]
    bias = last.bias.at[1].set(warm if warm < 0 else 1.0)
    policy = eqx.tree_at(lambda p: p.network.layers[-1].bias, policy, bias)
    after, metrics = agent.update(
        learned._replace(policy=policy), some_experience(), jax.random.key(1)
    )
    rises = float(after.log_temperature) > float(learned.log_temperature)
    assert rises == (float(metrics["entropy"]) < -1) == (warm < 0)


@pytest.mark.parametrize("kind", [TD3, SAC])
def test_what_is_paid_for_at_once_is_learned(kind: type[AbstractOffPolicy]) -> None:
    """An action shall be `sin q / 2`, and every step is the last."""
    agent: Any = kind(**options(optimiser=ADAM, target_rate=0.05, hidden=(32, 32)))
    rest = eqx.partition(agent.init(jax.random.key(0)), eqx.is_array)[1]

    def body(arrays: Any, key: Array) -> tuple[Any, None]:
        draw, act, key = jax.random.split(key, 3)
        q = jax.random.uniform(draw, (64, 1), minval=-jnp.pi, maxval=jnp.pi)
        action = jax.random.uniform(act, (64, 1), minval=-1.0)
        paid = -((action - 0.5 * jnp.sin(q)) ** 2)[:, 0]
        state, over = State(q, 0 * q), jnp.ones(64, bool)
        learned = eqx.combine(arrays, rest)
        learned, _ = agent.update(learned, Experience(state, action, paid, state, over), key)
        return eqx.filter(learned, eqx.is_array), None

    first = eqx.filter(agent.init(jax.random.key(0)), eqx.is_array)
    keys = jax.random.split(jax.random.key(1), 3000)
    learned = eqx.combine(jax.jit(lambda a, k: jax.lax.scan(body, a, k)[0])(first, keys), rest)
    q = jnp.linspace(-3, 3, 25)[:, None]
    action = jax.vmap(learned.policy.mode)(State(q, 0 * q))
    assert float(jnp.max(jnp.abs(action - 0.5 * jnp.sin(q)))) < 0.15


class Drift(AbstractTransition):
    """Moves by its action, and cannot be computed beyond a bound."""

    coordinates: Coordinates
    bound: float = 1e9

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        q = state.q + 0.5 * action + 0.25
        return State(jnp.where(q > self.bound, jnp.nan, q), state.qd + 1)


def paid(state: State, action: Float[Array, " m"], following: State) -> Scalar:
    return following.q[0] - action[0]


REWARD: AbstractReward = GivenReward(paid)
LINE = Coordinates((False,))


def a_dyna(**changes: Any) -> Dyna:
    learner = TD3(**options(features=Features(LINE, (4.0,))), noise=0.5)
    made: dict[str, Any] = {
        "learner": learner,
        "batch": 8,
        "ratio": 0.5,
        "rollouts": 6,
        "length": 4,
        "capacity": 48,
        "limits": ((50.0,), (50.0,)),
    }
    return Dyna(**{**made, **changes})


def imagined(agent: Dyna, transition: AbstractTransition, **more: Any) -> ReplayBuffer:
    instead = some_experience(rows=6)
    starts = State(jnp.arange(6.0)[:, None], jnp.zeros((6, 1)))
    behaviour = agent.init(jax.random.key(0), 1)
    behaviour = agent.imagine(
        behaviour, transition, REWARD, starts, instead, key=jax.random.key(3), **more
    )
    assert behaviour.imagined is not None
    return behaviour.imagined


def test_what_is_imagined_is_what_the_model_says_step_by_step() -> None:
    agent, transition = a_dyna(), Drift(LINE)
    buffer = imagined(agent, transition)
    assert int(buffer.size) == 24
    made = jax.tree.map(lambda x: x[:24].reshape(4, 6, *x.shape[1:]), buffer.experience)
    np.testing.assert_array_equal(made.state.q[0, :, 0], np.arange(6))
    for end, begin in ((made.next_state.q[:-1], made.state.q[1:]),):
        np.testing.assert_array_equal(end, begin)
    step = jax.vmap(jax.vmap(transition.step))
    close(made.next_state.q, step(made.state, made.action).q, 1e-6)
    close(made.reward, (made.next_state.q - made.action)[..., 0], 1e-6)
    assert not made.terminated.any()
    mode = jax.vmap(jax.vmap(agent.init(jax.random.key(0), 1).policy.mode))(made.state)
    assert np.std(made.action - mode) > 0.1, "it explores"


def test_a_rollout_that_is_over_begins_again() -> None:
    buffer = imagined(a_dyna(), Drift(LINE), termination=BoundTermination((5.4,)))
    made = jax.tree.map(lambda x: x[:24].reshape(4, 6, *x.shape[1:]), buffer.experience)
    over = np.asarray(made.terminated)
    np.testing.assert_array_equal(over, np.asarray(made.next_state.q[..., 0]) > 5.4)
    assert over[:3].any()
    began = np.broadcast_to(np.arange(6.0), (3, 6))
    went = np.where(over[:3], began, made.next_state.q[:3, :, 0])
    np.testing.assert_array_equal(made.state.q[1:, :, 0], went)


def test_what_cannot_be_computed_is_not_stored() -> None:
    buffer = imagined(a_dyna(), Drift(LINE, bound=4.5))
    stored = jax.tree.map(lambda x: np.asarray(x[:24]), buffer.experience)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(stored))
    real = some_experience(rows=6)
    instead = np.isin(stored.reward, np.asarray(real.reward))
    assert instead.any()
    assert not instead.all()


@pytest.mark.parametrize(("ratio", "spoilt"), [(0.0, "imagined"), (1.0, "real")])
def test_the_ratio_says_what_a_batch_is_made_of(ratio: float, spoilt: str) -> None:
    """What no batch has may be what it likes."""
    agent = a_dyna(ratio=ratio)
    behaviour = agent.init(jax.random.key(0), 1)
    bad = some_experience()._replace(reward=jnp.full(BATCH, jnp.nan))
    empty = ReplayBuffer.empty(BATCH, 1, 1)
    zero = jnp.zeros((), int)
    real = empty.add(bad if spoilt == "real" else some_experience(), zero)
    other = empty.add(bad if spoilt == "imagined" else some_experience(), zero)
    assert (behaviour.imagined is None) == (ratio == 0)
    behaviour = dataclasses.replace(behaviour, imagined=other)
    _, metrics = agent.update(behaviour, real, key=jax.random.key(1))
    assert metrics["skipped"] == 0
    assert np.isfinite(metrics["critic_loss"])
    _, metrics = a_dyna().update(behaviour, real, key=jax.random.key(1))
    assert metrics["skipped"] > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ratio": 1.5}, "`ratio` must be between 0 and 1, got 1.5"),
        ({"length": 0}, "must be positive, got 8, 6 and 0"),
        ({"capacity": 23}, "`capacity` was 23, and 6 rollouts of 4 steps"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        a_dyna(**changes)
