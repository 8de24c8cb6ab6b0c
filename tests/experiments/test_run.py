import dataclasses
import json
import tomllib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from lagdyna import load_run, resume, train
from lagdyna.experiments import Silence, Trainer, UserError, config_from_table, evaluate
from lagdyna.experiments._evaluation import evaluate_policy
from lagdyna.tasks import get_task

from .. import environments as environments  # registers them
from .small import small_config

SUMMARY = {
    *("task", "agent", "model", "learner", "solver", "seed", "env_steps", "return_mean"),
    *("return_std", "eval_episodes", "steps_to_target", "target_return", "wall_seconds"),
    *("device", "versions"),
}
LONG = {"steps": 400, "collect": {"train_every": 100, "steps_per_round": 200}}


def records_of(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def without_seconds(records):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records]


def arrays_of(run):
    with np.load(run / "checkpoint" / "training.npz") as file:
        return {name: file[name] for name in file.files if name != "notes"}


def same_run(a, b):
    assert without_seconds(records_of(a)) == without_seconds(records_of(b))
    left, right = arrays_of(a), arrays_of(b)
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "first"
    train(small_config(**LONG), out)
    return out


def test_a_run_directory_holds_what_it_promises(run):
    names = {path.name for path in run.iterdir()}
    assert names == {
        *("config.toml", "metrics.jsonl", "summary.json", "checkpoint"),
        *("learning_curve.png", "rollout.gif", "energy.png"),
    }
    summary = json.loads((run / "summary.json").read_text())
    assert set(summary) == SUMMARY
    assert (summary["env_steps"], summary["eval_episodes"]) == (400, 2)
    for name in ("learning_curve.png", "energy.png"):
        with Image.open(run / name) as image:
            assert image.size[0] > 400
    with Image.open(run / "rollout.gif") as image:
        seconds = getattr(image, "n_frames", 1) * image.info["duration"] / 1000
    assert seconds == pytest.approx(200 * 0.05, rel=0.02)


def test_there_is_a_line_of_metrics_for_each_episode(run):
    records = records_of(run)
    assert [record["env_steps"] for record in records] == [200, 400]
    assert [record["episodes"] for record in records] == [1, 2]
    for record in records:
        assert set(record["seconds"]) == {"collect", "fit", "imagine", "evaluate"}
        assert record["eval_return_mean"] == record["evaluations"][-1]["return_mean"]
        assert len(record["evaluations"]) == 2
        for name in ("train_return", "eval_return_std", "model_loss", "reward_loss"):
            assert np.isfinite(record[name])
        assert record["skipped_updates"] == 0


def test_the_config_of_a_run_reruns_it_to_the_bit(run, tmp_path):
    config = config_from_table(tomllib.loads((run / "config.toml").read_text()))
    train(config, tmp_path / "again")
    same_run(run, tmp_path / "again")


def test_another_seed_is_another_run(run, tmp_path):
    train(small_config(seed=1, **LONG), tmp_path / "other")
    assert (
        records_of(tmp_path / "other")[0]["train_return"] != records_of(run)[0]["train_return"]
    )


class _Stop(Silence):
    """Stands in for a user's Ctrl-C after some calls."""

    def __init__(self, calls):
        self.calls = calls

    def phase(self, name, done, total, metrics):
        self.calls -= 1
        if self.calls == 0:
            raise KeyboardInterrupt


def test_interrupted_anywhere_a_run_resumes_to_the_same_end(tmp_path):
    config = small_config(steps=60, task=_short_task())
    train(config, tmp_path / "whole")
    calls = 1
    interrupted = 0
    while True:
        out = tmp_path / f"stopped-{calls}"
        try:
            train(config, out, progress=_Stop(calls))
        except KeyboardInterrupt:
            interrupted += 1
            resume(out)
        same_run(tmp_path / "whole", out)
        if (tmp_path / f"stopped-{calls}" / "summary.json").exists() and calls > 45:
            break
        calls += 13
    assert interrupted >= 2


def _short_task():
    """The pendulum with episodes of 20 steps, as a user would register it."""
    import dataclasses

    import gymnasium as gym

    if "ShortPendulum-v0" not in gym.registry:
        gym.register(
            "ShortPendulum-v0",
            entry_point="gymnasium.envs.classic_control.pendulum:PendulumEnv",
            max_episode_steps=20,
        )
    task = dataclasses.replace(get_task("Pendulum-v1"), env_id="ShortPendulum-v0")
    return dataclasses.asdict(task)


def test_lines_of_metrics_beyond_the_checkpoint_are_dropped(tmp_path):
    config = small_config(steps=60, task=_short_task())
    train(config, tmp_path / "whole")
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        train(config, out, progress=_Stop(20))
    kept = (out / "metrics.jsonl").read_text()
    # As if the process had died after writing a line and before its checkpoint.
    (out / "metrics.jsonl").write_text(kept + kept.splitlines()[-1] + '\n{"round": 3, "ep')
    resume(out)
    same_run(tmp_path / "whole", out)


def test_resuming_a_finished_run_returns_its_summary(run):
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    assert resume(run) == json.loads((run / "summary.json").read_text())
    assert before == {path.name: path.stat().st_mtime_ns for path in run.iterdir()}


def test_nothing_is_compiled_after_the_first_round(tmp_path, compilations):
    class Count(Silence):
        def __init__(self):
            self.after_round = []

        def record(self, record):
            self.after_round.append(compilations())

    count = Count()
    train(small_config(steps=60, task=_short_task()), tmp_path / "run", progress=count)
    assert len(count.after_round) == 3
    assert count.after_round[0] > 0
    assert count.after_round[1:] == count.after_round[:1] * 2


def test_trainers_that_differ_in_the_seed_share_their_programs(compilations):
    def start(seed):
        trainer = Trainer(small_config(seed=seed))
        return trainer.begin_fit(trainer.init())

    first = start(1)
    before = compilations()
    second = start(2)
    assert compilations() == before
    weights = [t.behaviour.policy.network.layers[0].weight for t in (first, second)]
    assert not np.array_equal(*weights)


def test_a_given_reward_is_used_and_not_learned(tmp_path):
    def upright(state, action, next_state):
        return jnp.cos(next_state.q[0])

    out = tmp_path / "run"
    train(small_config(steps=20), out, reward=upright)
    assert "reward_loss" not in records_of(out)[0]
    assert -1.0 <= records_of(out)[0]["imagined_reward"] <= 1.0
    evaluate(out, reward=upright)
    with pytest.raises(UserError, match="of another model"):
        load_run(out)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {
            "learner": {"window": 4, "name": "rmsprop"},
            "model": {"dissipation": "viscous", "activation": "tanh"},
            "solver": {"name": "semi_implicit_euler", "substeps": 2},
            "agent": {
                "critics": 2,
                "uniform_starts": 1.0,
                "promising_starts": 0.0,
                "initial_starts": 0.0,
            },
            "collect": {"capacity": 10, "hold": 3},
        },
        {"solver": {"name": "bosh3", "rtol": 1e-3, "atol": 1e-3}},
    ],
)
def test_every_part_can_be_swapped_in_the_config(tmp_path, changes):
    summary = train(small_config(steps=20, **changes), tmp_path / "run")
    assert np.isfinite(summary["return_mean"])
    assert records_of(tmp_path / "run")[0]["skipped_updates"] == 0


def test_a_run_in_double_precision(tmp_path):
    with jax.enable_x64(True):
        train(small_config(steps=20), tmp_path / "run")
        loaded = load_run(tmp_path / "run")
    leaves = jax.tree.leaves(loaded.training.behaviour.policy.network.layers)
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype("float64")}


def test_what_is_loaded_is_a_lagrangian_and_a_policy(run):
    loaded = load_run(run)
    delan = loaded.transition.field.system.lagrangian
    q, qd = jnp.asarray([0.3]), jnp.asarray([0.7])
    acceleration = delan.forward_dynamics(q, qd, jnp.asarray([0.5]))
    np.testing.assert_allclose(delan.inverse_dynamics(q, qd, acceleration), [0.5], rtol=1e-4)
    assert loaded.records == records_of(run)
    assert int(loaded.training.env_steps) == 400


def test_an_evaluation_is_written_and_never_over_another(run, tmp_path):
    first = evaluate(run, episodes=3)
    second = evaluate(run, episodes=3)
    assert first["out"] != second["out"]
    assert first["returns"] == second["returns"]
    assert evaluate(run, episodes=3, seed=1)["returns"] != first["returns"]
    written = evaluate(run, episodes=3, out=tmp_path / "mine")
    found = json.loads((tmp_path / "mine" / "evaluation.json").read_text())
    assert found["return_mean"] == pytest.approx(np.mean(written["returns"]))
    with pytest.raises(UserError, match="not empty"):
        evaluate(run, episodes=3, out=tmp_path / "mine")


def test_nothing_is_written_where_something_is(run, tmp_path):
    with pytest.raises(UserError, match="already holds a run"):
        train(small_config(), run)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        train(small_config(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_config_that_does_not_fit_the_environment_makes_no_directory(tmp_path):
    task = dict(_short_task(), force=((1.0, 2.0),))
    with pytest.raises(UserError, match="`force` has 2 columns"):
        train(small_config(task=task), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_evaluations_that_no_episode_of_the_suite_fits_in_make_no_directory(tmp_path):
    config = small_config(task="pendulum", evaluation={"max_steps": 999})
    with pytest.raises(UserError, match=r"`evaluation.max_steps` was 999, and 2 of 2 .*larger"):
        train(config, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_an_endless_episode_is_not_waited_for():
    task = get_task("Pendulum-v1")
    with pytest.raises(UserError, match=r"`evaluation.max_steps` was 5"):
        evaluate_policy(task, lambda states: np.zeros((2, 1)), [1, 2], 5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_one_episode_is_enough_to_learn_the_swing_up(tmp_path, seed):
    config = config_from_table({"steps": 200, "seed": seed})
    assert train(config, tmp_path / "run")["return_mean"] > -200


def test_a_filter_that_would_not_fit_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    config = small_config(learner={"name": "ekf"}, model={"hidden": [3000, 3000]})
    with pytest.raises(UserError, match="`model.hidden` was .3000, 3000., which makes"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_environment_that_breaks_its_promise_ends_the_run_in_a_sentence(tmp_path):
    task = dataclasses.replace(get_task("Pendulum-v1"), env_id="lagdyna-tests/Undefined-v0")
    config = dataclasses.replace(small_config(), task=task)
    with pytest.raises(UserError, match="observed nan in entry 2; only finite numbers"):
        train(config, tmp_path / "run")
    with pytest.raises(UserError, match="observed nan in entry 2; only finite numbers"):
        evaluate_policy(task, lambda states: np.zeros((2, 1)), [0, 1], 10)
