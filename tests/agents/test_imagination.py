"""The agent that learns in imagined rollouts: schedules, restarts and the acting policy."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Scalar

from lagdyna.agents import (
    AbstractStarts,
    HighRewardStarts,
    ImaginationAgent,
    ImaginationState,
    InitialStarts,
    MixedStarts,
    Phase,
    Policy,
    ReplayedStarts,
    UniformStarts,
)
from lagdyna.data import ReplayBuffer
from lagdyna.mechanics import Limits, State
from lagdyna.models import (
    AbstractReward,
    AbstractTermination,
    BoundTermination,
    GivenReward,
)
from lagdyna.simulate import WorldModel

from .toys import (
    BATCH,
    numbered_buffer,
    phase,
    random_reward,
    small_actor_critic,
    swing,
    swing_world,
)

RANGE = Limits((3.0,), (8.0,))
RewardFunction = Callable[[State, Array, State], Scalar]


def mixture() -> AbstractStarts:
    parts = (
        ReplayedStarts(),
        UniformStarts(RANGE),
        InitialStarts(),
        HighRewardStarts(RANGE, 1, 8),
    )
    return MixedStarts(parts, (1, 1, 2, 2))


def small_agent(**changes: Any) -> ImaginationAgent:
    """Three restarts of two phases each."""
    options: dict[str, Any] = {
        "actor_critic": small_actor_critic(reset_fraction=0.3),
        "batch": BATCH,
        "starts": mixture(),
        "sampling_range": RANGE,
        "entropy_end": 0.25,
        "entropy_phases": 5,
        "interval": 2,
        "restarts": 3,
    }
    return ImaginationAgent(**{**options, **changes})


def still_buffer() -> ReplayBuffer:
    """Four entries of one episode that begins at 0.3."""
    buffer = numbered_buffer(4, rewards=-1.0)
    q = jnp.where(buffer.filled[:, None], 0.3, 0.0)
    state = State(q, 0 * q)
    return eqx.tree_at(
        lambda b: (b.experience.state, b.experience.next_state), buffer, (state, state)
    )


class SlopeReward(AbstractReward):
    """`slope` times the action, and `height` near the start. Worlds share their programs."""

    slope: Array
    height: Array
    within: Array

    def __call__(self, state: State, action: Array, next_state: State) -> Scalar:
        near = jnp.abs(state.q[0] - 0.3) < self.within
        return self.slope * action[0] + self.height * near


class ConstantTermination(AbstractTermination):
    """The same probability everywhere."""

    probability: Array

    def __call__(self, state: State) -> Scalar:
        return self.probability


def world(reward: RewardFunction) -> WorldModel:
    return WorldModel(swing(), GivenReward(reward))


def sloped(slope: float, height: float = 0.0, within: float = 0.0) -> WorldModel:
    return WorldModel(swing(), SlopeReward(*map(jnp.asarray, (slope, height, within))))


def ending(probability: float = 0.0, reward: AbstractReward | None = None) -> WorldModel:
    return swing_world(reward, ConstantTermination(jnp.asarray(probability)))


def init(agent: ImaginationAgent) -> ImaginationState:
    return eqx.filter_jit(agent.init)(jax.random.key(0))


def shifted(policy: Policy, by: float) -> Policy:
    """The same policy with the mean of its action shifted."""
    where = lambda p: p.network.layers[-1].bias  # noqa: E731
    return eqx.tree_at(where, policy, where(policy).at[0].add(by))


def stacked(*policies: Policy) -> Policy:
    first, *others = policies
    return jax.tree.map(
        lambda *xs: jnp.stack(xs) if eqx.is_array(xs[0]) else xs[0], first, *others
    )


def placed(state: ImaginationState, current: Policy, *best: Policy) -> ImaginationState:
    """The same state with another current policy, and others in the pool."""
    assert state.pool is not None
    return eqx.tree_at(
        lambda s: (s.actor_critic.policy, s.pool.best), state, (current, stacked(*best))
    )


def same(a: Any, b: Any) -> bool:
    arrays = (jax.tree.leaves(eqx.filter(tree, eqx.is_array)) for tree in (a, b))
    return all(np.array_equal(x, y, equal_nan=True) for x, y in zip(*arrays, strict=True))


@eqx.filter_jit
def improve(
    agent: ImaginationAgent, world: WorldModel, place: Phase
) -> tuple[ImaginationState, dict[str, Scalar]]:
    """Three updates of an untrained agent."""
    state = agent.init(jax.random.key(0))
    return agent.improve(state, world, still_buffer(), place, 3)


@eqx.filter_jit
def end_phase(
    agent: ImaginationAgent, state: ImaginationState, world: WorldModel, place: Phase
) -> tuple[ImaginationState, dict[str, Scalar]]:
    return agent.end_phase(state, world, still_buffer(), place)


def test_the_state_keeps_its_types() -> None:
    """So that a run compiles each program once."""

    def signature(state: ImaginationState) -> list[Any]:
        return [(x.shape, x.dtype, x.weak_type) for x in jax.tree.leaves(state)]

    def programs(agent: ImaginationAgent, world: WorldModel) -> Any:
        first = agent.init(jax.random.key(0))
        begun = agent.begin_phase(first, phase(3))
        improved, _ = agent.improve(begun, world, still_buffer(), phase(3), 2)
        return [begun, improved, agent.end_phase(improved, world, still_buffer(), phase(3))[0]]

    terminating = swing_world(termination=BoundTermination((2.0,)))
    for agent in (small_agent(), small_agent(restarts=1)):
        first = eqx.filter_eval_shape(agent.init, jax.random.key(0))
        for each in (swing_world(), terminating):
            for state in eqx.filter_eval_shape(programs, agent, each):
                arrays = [
                    x for x in jax.tree.leaves(state) if isinstance(x, jax.ShapeDtypeStruct)
                ]
                expected = [
                    x for x in jax.tree.leaves(first) if isinstance(x, jax.ShapeDtypeStruct)
                ]
                assert signature(arrays) == signature(expected)


def test_improving_moves_policy_and_critics_and_reports_metrics() -> None:
    before = init(small_agent())
    after, metrics = improve(small_agent(), ending(), phase(1))
    assert set(metrics) == {
        *("actor_loss", "critic_loss", "imagined_reward", "entropy", "skipped")
    }
    assert all(np.isfinite(value) for value in metrics.values())
    assert metrics["skipped"] == 0
    assert not same(after.actor_critic.policy, before.actor_critic.policy)
    assert not same(after.actor_critic.critics, before.actor_critic.critics)
    assert same(after.pool, before.pool), "only the end of a phase changes the pool"
    again, _ = improve(small_agent(), ending(), phase(1))
    assert same(after, again)
    for other in (
        improve(small_agent(), ending(), phase(2)),
        improve(small_agent(), ending(), phase(1, chunk=1)),
    ):
        assert not same(after.actor_critic.policy, other[0].actor_critic.policy)


def test_skipped_updates_are_counted() -> None:
    broken = eqx.tree_at(lambda r: r.scale, random_reward(), jnp.asarray(jnp.nan))
    _, metrics = improve(small_agent(), ending(0.0, broken), phase(1))
    assert metrics["skipped"] == 6  # actor and critics, three times


def test_an_agent_that_imagines_needs_a_world() -> None:
    assert small_agent().uses_model
    with pytest.raises(ValueError, match="learns in a world model; got `world` None"):
        small_agent().improve(init(small_agent()), None, still_buffer(), phase(1), 1)


def test_without_restarts_the_current_policy_acts() -> None:
    agent = small_agent(restarts=1)
    state = init(agent)
    assert state.pool is None
    assert state.policy is state.actor_critic.policy
    assert agent.begin_phase(state, phase(3)) is state
    assert agent.end_phase(state, swing_world(), still_buffer(), phase(3)) == (state, {})


def test_the_entropy_coefficient_follows_a_cosine_in_each_interval() -> None:
    def coefficients(count: int, **changes: Any) -> list[float]:
        agent = small_agent(actor_critic=small_actor_critic(entropy=0.2), **changes)
        return [float(agent.entropy(jnp.asarray(i))) for i in range(1, count + 1)]

    for last in (10, 6, 5):
        found = coefficients(11, restarts=1, interval=11, entropy_phases=last)
        wave = [0.125 + 0.075 * np.cos(np.pi * min(i, last) / last) for i in range(11)]
        np.testing.assert_allclose(found, wave, rtol=1e-6)
    found = coefficients(43, restarts=4, interval=10)
    np.testing.assert_array_equal(found[:40], 4 * found[:10])
    assert found[0] > found[4] > found[5] == found[9]
    # In a run with more phases than planned the last interval goes on.
    assert found[42] == found[9]


def test_restarts_reset_the_networks_and_keep_the_acting_policy() -> None:
    agent = small_agent()
    state = init(agent)
    state = placed(state, shifted(state.actor_critic.policy, 0.5), *3 * [state.policy])
    begin = eqx.filter_jit(agent.begin_phase)
    resets = []
    for number in range(1, 10):
        after = begin(state, phase(number))
        assert same(after.pool, state.pool)
        assert same(after.policy, state.policy)
        if number in (3, 5):
            resets.append(after.actor_critic)
            assert np.isnan(after.actor_critic.carried_states.q).all()
            assert not same(after.actor_critic.policy, state.actor_critic.policy)
        else:
            assert same(after.actor_critic, state.actor_critic)
    assert not same(resets[0].policy, resets[1].policy), "each restart has its own weights"


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_policy_of_the_highest_imagined_return_acts(sign: float) -> None:
    """The reward is the action, or minus the action."""
    agent, state = small_agent(), init(small_agent())
    start = state.actor_critic.policy
    best, worst = shifted(start, 2.0 * sign), shifted(start, -2.0 * sign)
    rewarded = sloped(sign)

    def chosen(
        new: Policy, old: Policy, number: int = 4, within: WorldModel = rewarded
    ) -> tuple[ImaginationState, dict[str, float]]:
        """In the second restart, `old` being the best policy of every restart so far."""
        before = placed(state, new, old, old, old)
        after, metrics = end_phase(agent, before, within, phase(number))
        assert same(after.actor_critic, before.actor_critic)
        return after, {name: float(value) for name, value in metrics.items()}

    after, metrics = chosen(best, worst)
    assert same(after.policy, best)
    assert metrics["imagined_return"] == metrics["newest_return"] > 0
    kept, others = chosen(worst, best)
    assert same(kept.policy, best)
    assert others["imagined_return"] == metrics["imagined_return"]
    assert others["newest_return"] < 0
    # 250 actions, each with a reward of at most 1.
    assert 0.5 * 250 < metrics["imagined_return"] <= 250
    # The current policy acts if neither is better, and one that is not finite never does.
    assert same(chosen(best, best)[0].policy, best)
    broken = shifted(best, np.nan)
    assert same(chosen(broken, worst)[0].policy, worst)
    assert same(chosen(worst, broken)[0].policy, worst)
    endless, metrics = chosen(best, worst, within=sloped(jnp.inf * sign))
    assert not np.isfinite(metrics["newest_return"])
    assert same(endless.policy, worst), "nor does one whose return is infinite"
    # During the first restart the current policy acts.
    early, metrics = chosen(worst, best, 2)
    assert same(early.policy, worst)
    assert metrics["imagined_return"] == metrics["newest_return"] < 0


def test_a_run_without_restarts_keeps_its_best_policy() -> None:
    agent = small_agent(restarts=1, interval=9, newest_phases=2)
    state = init(agent)
    good, bad = (shifted(state.actor_critic.policy, by) for by in (2.0, -2.0))
    before = placed(state, bad, good)
    for number, acting in ((1, bad), (2, bad), (3, good), (30, good)):
        after, metrics = end_phase(agent, before, sloped(1.0), phase(number))
        assert same(after.policy, acting)
        assert same(after.explorer, bad), "the newest policy collects experience"
        assert same(after.actor_critic, before.actor_critic)
        assert (metrics["imagined_return"] > metrics["newest_return"]) == (acting is good)
    # It replaces the kept one as soon as it is better.
    after, _ = end_phase(agent, placed(state, good, bad), sloped(1.0), phase(3))
    assert same(after.policy, good)
    assert init(small_agent(restarts=1, interval=9, newest_phases=9)).pool is None


def test_a_policy_of_an_earlier_restart_can_act_again() -> None:
    agent, state = small_agent(), init(small_agent())
    start, rewarded = state.actor_critic.policy, sloped(1.0)
    good, bad, best = (shifted(start, by) for by in (1.0, -1.0, 3.0))

    def chosen(number: int, *pool: Policy) -> ImaginationState:
        return end_phase(agent, placed(state, bad, *pool), rewarded, phase(number))[0]

    after = chosen(3, good, bad, best)
    assert same(after.policy, good), "the third restart has not begun, and does not count"
    # The first phase of the second restart replaces the policy there in any case.
    after = chosen(3, bad, good, best)
    assert same(after.policy, bad)
    assert after.pool is not None
    assert same(after.pool.best, stacked(bad, bad, best))
    # Its second phase keeps the better one.
    after = chosen(4, bad, good, best)
    assert same(after.policy, good)
    assert after.pool is not None
    assert same(after.pool.best, stacked(bad, good, best))
    # The last restart counts once it has begun.
    assert same(chosen(6, bad, good, best).policy, best)


@pytest.mark.parametrize(("within", "rewarded"), [(1e-5, False), (0.1, True)])
def test_policies_are_compared_from_perturbed_first_states(
    within: float, rewarded: bool
) -> None:
    """The reward is for being close to the first state of the episode, which is at 0.3."""
    near = sloped(0.0, 1.0, within)
    _, metrics = end_phase(small_agent(), init(small_agent()), near, phase(1))
    assert (float(metrics["imagined_return"]) > 0.5) == rewarded


def test_policies_are_compared_without_posterior_samples() -> None:
    agent, state = small_agent(), init(small_agent())
    plain = sloped(1.0)
    sampled = eqx.tree_at(lambda w: w.samples, plain, "no samples", is_leaf=lambda x: x is None)
    assert same(
        end_phase(agent, state, plain, phase(1)), end_phase(agent, state, sampled, phase(1))
    )


def test_the_reward_scale_is_the_larger_of_observed_and_imagined() -> None:
    agent = small_agent()
    quiet = eqx.tree_at(lambda b: b.experience.reward, still_buffer(), jnp.full(10, 1e-3))

    def scale(reward: float, buffer: ReplayBuffer) -> float:
        return float(
            agent.reward_scale(world(lambda s, a, n: reward + 0 * a[0]), buffer, phase(1))
        )

    assert scale(5.0, still_buffer()) == pytest.approx(5)
    assert scale(0.1, still_buffer()) == pytest.approx(1)
    assert scale(2.0, quiet) == pytest.approx(2)
    # Rewards that are not finite do not count, nor do empty entries.
    broken = eqx.tree_at(
        lambda b: b.experience.reward, still_buffer(), jnp.full(10, 3.0).at[0].set(jnp.inf)
    )
    assert scale(0.1, broken) == pytest.approx(3)


def test_the_reward_scale_is_of_the_zero_action_in_the_sampling_range() -> None:
    agent, buffer = small_agent(), still_buffer()
    found = agent.reward_scale(world(lambda s, a, n: s.q[0] + 1e3 * a[0]), buffer, phase(1))
    assert float(found) == pytest.approx(3 / np.sqrt(3), rel=0.15)
    moved = agent.reward_scale(world(lambda s, a, n: n.q[0] - s.q[0]), buffer, phase(1))
    assert float(moved) == pytest.approx(1)  # 0.1 qd is 0.46, and the buffer has 1


def test_a_world_where_every_start_has_ended_teaches_nothing() -> None:
    _, metrics = improve(small_agent(), ending(1.0), phase(1))
    assert float(metrics["imagined_reward"]) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"interval": 0}, "`interval` must be positive, got 0"),
        ({"newest_phases": 0}, "`newest_phases` must be positive, got 0"),
        ({"entropy_end": 1.5}, "`entropy_end` must be from 0 to 1, got 1.5"),
        ({"batch": 7}, "counts \\(1, 1, 2, 2\\), which must sum to `batch`, 7"),
    ],
)
def test_impossible_options_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small_agent(**changes)
