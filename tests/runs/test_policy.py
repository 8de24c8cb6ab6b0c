"""Policies that are loaded to be used outside of a run."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lagdyna
from lagdyna import State, UserError
from lagdyna.results import RUN_FILE, write_sealed
from lagdyna.runs import RunPolicy, evaluate, load_policy, load_run, policy_of
from lagdyna.runtime import Spaces
from lagdyna.training import EVALUATE_AGAIN, start_seeds

from .. import environments as environments  # registers them


@pytest.fixture(scope="module")
def policy(whole: Path) -> RunPolicy:
    return policy_of(whole)


def test_a_loop_with_predict_repeats_an_evaluation(
    policy: RunPolicy, whole: Path, tmp_path: Path
) -> None:
    """The velocity of this task is estimated, so that the state of an episode matters."""
    copy = Path(shutil.copytree(whole, tmp_path / "run"))
    expected = evaluate(copy, episodes=2)["returns"]
    env = gym.make(policy.spec.env_id)
    found = []
    for seed in start_seeds(0, EVALUATE_AGAIN, 2):
        observation, _ = env.reset(seed=int(seed))
        state, total, ended = None, 0.0, False
        while not ended:
            action, state = policy.predict(observation, state)
            observation, reward, *flags, _ = env.step(action)
            total, ended = total + float(reward), any(flags)
        found.append(total)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_runs_and_policies_are_printed_in_a_line(policy: RunPolicy, whole: Path) -> None:
    task, agent = policy.spec.env_id, policy.config.agent.name
    assert repr(policy) == f"RunPolicy({task!r}, observation=(3,), action=(1,))"
    expected = f"Run({task!r}, agent={agent!r}, directory={str(whole)!r})"
    assert repr(load_run(whole)) == expected


def test_a_batch_of_observations_is_its_rows(policy: RunPolicy) -> None:
    rng = np.random.default_rng(0)
    observations = rng.normal(size=(3, 2, 3))
    states: list[Any] = [None, None]
    together = None
    for row in observations:
        actions, together = policy.predict(row, together)
        for i in range(2):
            alone, states[i] = policy.predict(row[i], states[i])
            np.testing.assert_allclose(actions[i], alone, rtol=1e-5)
    again, _ = policy.predict(observations[0], together, episode_start=[True, False])
    first, _ = policy.predict(observations[0])
    assert again[0] == pytest.approx(first[0], rel=1e-6)
    assert again[1] != pytest.approx(first[1], rel=1e-3)


def test_actions_on_states_are_those_of_the_trainer_in_units(whole: Path) -> None:
    run, policy = load_run(whole), policy_of(whole)
    states = State(jnp.linspace(-3, 3, 5)[:, None], jnp.linspace(4, -4, 5)[:, None])
    unit = run.trainer.act(run.training, states)
    np.testing.assert_allclose(jax.vmap(policy.act)(states), 2 * unit, atol=1e-6)


def test_noise_is_left_out_unless_it_is_asked_for(policy: RunPolicy) -> None:
    observation = np.asarray([0.6, 0.8, 0.1])
    actions = [float(policy.predict(observation, deterministic=False)[0][0]) for _ in range(3)]
    assert len({*actions}) == 3
    assert max(map(abs, actions)) <= 2
    modes = {float(policy.predict(observation)[0][0]) for _ in range(3)}
    assert len(modes) == 1


def test_an_action_is_held_as_in_training(policy: RunPolicy) -> None:
    task = dataclasses.replace(policy.spec, repeat=3)
    held = RunPolicy(
        policy.policy, dataclasses.replace(policy.config, task=task), policy.spaces
    )
    rng = np.random.default_rng(1)
    state, actions = None, []
    for _ in range(7):
        action, state = held.predict(rng.normal(size=3), state)
        actions.append(float(action[0]))
    assert [actions[i] == actions[i - 1] for i in range(1, 7)] == [True, True, False] * 2
    batch, after = held.predict(rng.normal(size=(2, 3)))
    later, _ = held.predict(rng.normal(size=(2, 3)), after, episode_start=[False, True])
    assert later[0] == batch[0]
    assert later[1] != batch[1]


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (np.zeros(4), r"shape \(4,\); numbers of shape \(3,\) or \(batch, 3\) are accepted"),
        (np.zeros((1, 2, 3)), r"shape \(1, 2, 3\)"),
        ("north", "type str"),
        ([0.0, np.nan, 1.0], "not finite"),
        ({"angle": 1.0}, "type dict"),
    ],
)
def test_what_is_no_observation_is_refused(
    policy: RunPolicy, observation: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        policy.predict(observation)


def test_the_state_of_another_batch_is_refused(policy: RunPolicy) -> None:
    _, state = policy.predict(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"batch of shape \(2,\); that .* shape \(\) is"):
        policy.predict(np.zeros(3), state)


def test_a_run_that_did_not_record_its_spaces_asks_the_environment(
    whole: Path, policy: RunPolicy, tmp_path: Path
) -> None:
    assert policy.spaces == Spaces(3, ((-2.0, 2.0),))
    old = Path(shutil.copytree(whole, tmp_path / "old"))
    content = json.loads((old / RUN_FILE).read_text())
    for name in ("observation", "actions", "seal"):
        content.pop(name, None)
    write_sealed(old / RUN_FILE, content)
    assert load_policy(old).spaces == policy.spaces


def test_what_holds_no_policy_is_refused(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run"):
        lagdyna.load_policy(tmp_path)
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    (run / "checkpoint" / "training.npz").unlink()
    with pytest.raises(UserError, match="stopped before its first checkpoint"):
        load_policy(run)
