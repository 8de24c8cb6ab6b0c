"""Agents that the options of a run build."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna import UserError
from lagdyna.agents import ImaginationAgent, ImaginationState, MixedStarts
from lagdyna.config import Config
from lagdyna.tasks import Plant, get_task
from lagdyna.training import Trainer

from ..small import DYNA, small_config

PLANT = Plant.of_task(get_task("Pendulum-v1"))


def agent_of(config: Config) -> ImaginationAgent:
    config = config.resolved(PLANT)
    agent = config.agent.build(PLANT, config.schedule)
    assert isinstance(agent, ImaginationAgent)
    return agent


def starts_of(**agent: Any) -> dict[str, int]:
    starts = agent_of(small_config(agent=agent)).starts
    assert isinstance(starts, MixedStarts)
    names = [type(part).__name__.removesuffix("Starts") for part in starts.parts]
    return dict(zip(names, starts.counts, strict=True))


@given(steps=st.integers(1, 5000), every=st.integers(1, 400), interval=st.integers(1, 60))
def test_restart_intervals_are_equal_parts_of_the_run(
    steps: int, every: int, interval: int
) -> None:
    config = small_config(
        steps=steps, agent={"restart_interval": interval}, collect={"train_every": every}
    )
    agent, phases = agent_of(config), config.resolved(PLANT).phases
    assert phases <= agent.restarts * agent.interval
    assert (agent.restarts - 1) * agent.interval < phases, "no interval is empty"
    # The number of restarts is rounded, then the interval is rounded up to whole phases.
    off = abs(agent.interval - interval)
    assert agent.restarts == 1 or off <= 0.5 * interval + 1


def test_a_short_run_and_dyna_have_one_policy() -> None:
    short = Trainer(small_config(agent={"restart_interval": 6})).init()
    assert isinstance(short.agent, ImaginationState)
    assert short.agent.pool is None
    assert short.policy is short.agent.actor_critic.policy
    assert not Trainer(small_config(agent=DYNA)).selects_policies
    assert Trainer(small_config()).selects_policies


@pytest.mark.parametrize(
    ("until", "interval", "phases"),
    [(1.0, 10, 10), (0.6, 10, 6), (0.4, 10, 5), (0.1, 10, 5), (0.6, 20, 12)],
)
def test_entropy_is_annealed_over_a_fraction_of_an_interval(
    until: float, interval: int, phases: int
) -> None:
    """But over five phases at least."""
    agent = {"entropy_until": until, "restart_interval": interval}
    built = agent_of(small_config(steps=10 * 2 * interval, agent=agent))
    assert (built.restarts, built.interval) == (2, interval)
    assert built.entropy_phases == phases


def test_policies_are_compared_with_the_substeps_of_the_loss() -> None:
    loss = {"name": "one-step", "substeps": 3}
    assert agent_of(small_config(loss=loss)).substeps == 3
    assert agent_of(small_config(model={"name": "mlp"})).substeps is None


@pytest.mark.parametrize("batch", [1, 2, 3, 64])
def test_starts_of_every_kind_fit_in_a_batch(batch: int) -> None:
    fractions = {
        "uniform_starts": 0.25,
        "high_reward_starts": 0.25,
        "initial_starts": 0.25,
    }
    starts = starts_of(batch=batch, **fractions)
    assert sum(starts.values()) == batch
    assert min(starts.values()) >= 0
    if batch == 64:
        assert starts == {"Replayed": 16, "Uniform": 16, "Initial": 16, "HighReward": 16}


def test_more_starts_than_a_batch_are_refused() -> None:
    message = (
        "`uniform_starts` 0.75, `high_reward_starts` 0.5, `initial_starts` 0.5; at most 1 is"
    )
    with pytest.raises(UserError, match=message):
        small_config(agent={"uniform_starts": 0.75, "high_reward_starts": 0.5})


def test_a_restart_interval_without_a_phase_is_refused() -> None:
    with pytest.raises(UserError, match=r"`agent.restart_interval` was 0: expected `int` >= 1"):
        small_config(agent={"restart_interval": 0})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"agent": DYNA | {"batch": 64, "capacity": 40}},
            "`capacity` was 40, and a `batch` of 64 at a `ratio` of 0.9 takes 58 imagined",
        ),
        (
            {"agent": DYNA | {"rollouts": 30, "length": 10, "capacity": 200}},
            "`capacity` was 200, and `rollouts` x `length`, 30 x 10",
        ),
        (
            {"learner": {"name": "ekf"}, "agent": {"posterior": {"samples": 3}}},
            "`posterior.samples` was 3 and `batch` 8; a multiple",
        ),
        (
            {"agent": {"name": "dyna", "ratio": 0.0, "posterior": {"samples": 4}}},
            "`posterior` was given with a `ratio` of 0, an agent without a model",
        ),
        (
            {"agent": {"posterior": {"pessimism": 1.0}}},
            "`pessimism` was 1 with 0 `samples`; at least 2",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as error:
        small_config(**changes)
    assert message in str(error.value)


def test_a_model_free_run_has_no_options_of_a_model() -> None:
    agent = {"name": "dyna", "ratio": 0.0}
    empty = dict.fromkeys(("model", "learner", "reward"))
    config = small_config(agent=agent, **empty).resolved()
    for part in ("model", "solver", "loss", "learner", "reward"):
        assert getattr(config, part) is None
        with pytest.raises(UserError, match=f"`{part}` was given with an agent that uses no"):
            small_config(agent=agent, **{**empty, part: _SECTIONS[part]})


_SECTIONS: dict[str, Any] = {
    "model": {"name": "mlp"},
    "solver": {"name": "euler"},
    "loss": {"name": "one-step"},
    "learner": {"name": "sgd"},
    "reward": {"hidden": [8]},
}
