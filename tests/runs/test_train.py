"""Training runs of one seed and their directories."""

import dataclasses
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Scalar
from PIL import Image

from lagdyna import UserError
from lagdyna.config import Config, config_from_table
from lagdyna.mechanics import State
from lagdyna.progress import Silence
from lagdyna.runs import evaluate, load, load_run, resume, train
from lagdyna.simulate import LearnedModel
from lagdyna.tasks import get_task

from .. import environments as environments  # registers them
from ..small import MLP, REPLAYED, small_config
from .numerics import same_numbers
from .watch import SUMMARY, StopAfterEvents, records_of, same_run

SHORT_TASK = dataclasses.replace(
    get_task("Pendulum-v1"), env_id="lagdyna-tests/ShortPendulum-v0"
)
# The default solver; the other small runs have a faster one.
SHORT = small_config(steps=60, task=dataclasses.asdict(SHORT_TASK), solver={"name": "heun"})
ONE_ROUND = small_config(
    steps=20, task=dataclasses.asdict(SHORT_TASK), model=MLP, agent=REPLAYED
)


class CountCompilations(Silence):
    """Counts the events of a run, and the programs compiled after each round."""

    def __init__(self, compilations: Callable[[], int]):
        self.compilations = compilations
        self.after_round: list[int] = []
        self.events = 0

    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        self.events += 1

    def record(self, record: dict[str, Any]) -> None:
        self.after_round.append(self.compilations())


@pytest.fixture(scope="module")
def counted(
    tmp_path_factory: pytest.TempPathFactory,
    count_compilations: Callable[[], Callable[[], int]],
) -> tuple[Path, CountCompilations]:
    """Three rounds of one episode each, and what was counted."""
    out = tmp_path_factory.mktemp("short") / "run"
    count = CountCompilations(count_compilations())
    train(SHORT, out, progress=count)
    return out, count


@pytest.fixture
def run(counted: tuple[Path, CountCompilations]) -> Path:
    """The finished run; tests only read it."""
    return counted[0]


def test_a_run_directory_has_its_files(run: Path) -> None:
    names = {path.name for path in run.iterdir() if not path.name.startswith("evaluation")}
    assert names == {
        *("run.json", "config.toml", "metrics.jsonl", "summary.json", "checkpoint"),
        *("learning_curve.png", "rollout.gif", "energy.png", "report.html"),
    }
    summary = json.loads((run / "summary.json").read_text())
    page = (run / "report.html").read_text(encoding="utf-8")
    assert f"{summary['return_mean']:.1f} ± {summary['return_std']:.1f}" in page
    assert page.count('src="data:image/') == 3
    assert set(summary) == SUMMARY
    assert (summary["env_steps"], summary["eval_episodes"]) == (60, 2)
    for name in ("learning_curve.png", "energy.png"):
        with Image.open(run / name) as image:
            assert image.size[0] > 400
    with Image.open(run / "rollout.gif") as image:
        seconds = getattr(image, "n_frames", 1) * image.info["duration"] / 1000
    assert seconds == pytest.approx(21 * 0.05, rel=0.02)


def test_there_is_a_line_of_metrics_for_each_round(run: Path) -> None:
    records = records_of(run)
    assert [record["env_steps"] for record in records] == [20, 40, 60]
    assert [record["episodes"] for record in records] == [1, 2, 3]
    for record in records:
        assert set(record["seconds"]) == {"collect", "fit", "imagine", "evaluate"}
        assert record["eval_return_mean"] == record["evaluations"][-1]["return_mean"]
        assert len(record["evaluations"]) == 2
        for name in ("train_return", "eval_return_std", "model_loss", "reward_loss"):
            assert np.isfinite(record[name])
        assert record["skipped_updates"] == 0


def test_the_config_of_a_run_has_the_options_in_force_and_no_others(run: Path) -> None:
    table = tomllib.loads((run / "config.toml").read_text())
    config = SHORT.resolved()
    assert config_from_table(table) == config == config.resolved()
    assert load_run(run).config == config
    for part in ("model", "loss", "learner", "agent"):
        options = set(getattr(config, part).__struct_fields__)
        assert {"name"} < set(table[part]) == options | {"name"}


def test_a_seed_computes_the_numbers_of_this_version(run: Path) -> None:
    same_numbers("imagination", run)


@pytest.mark.usefixtures("no_pictures")
def test_the_config_of_a_run_repeats_it_to_the_bit(run: Path, tmp_path: Path) -> None:
    config = config_from_table(tomllib.loads((run / "config.toml").read_text()))
    train(config, tmp_path / "again")
    same_run(run, tmp_path / "again")


@pytest.mark.usefixtures("no_pictures")
def test_another_seed_gives_another_run(run: Path, tmp_path: Path) -> None:
    train(dataclasses.replace(SHORT, seed=1), tmp_path / "other")
    returns = [records_of(each)[0]["train_return"] for each in (run, tmp_path / "other")]
    assert returns[0] != returns[1]


@pytest.mark.usefixtures("no_pictures")
def test_a_run_interrupted_anywhere_resumes_to_the_same_end(
    counted: tuple[Path, CountCompilations], tmp_path: Path
) -> None:
    run, total = counted[0], counted[1].events
    for events in (1, total // 3, 2 * total // 3, total):
        out = tmp_path / f"stopped-{events}"
        with pytest.raises(KeyboardInterrupt):
            train(SHORT, out, progress=StopAfterEvents(events))
        resume(out)
        same_run(run, out)


@pytest.mark.usefixtures("no_pictures")
def test_lines_of_metrics_beyond_the_checkpoint_are_dropped(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        train(SHORT, out, progress=StopAfterEvents(20))
    kept = (out / "metrics.jsonl").read_text()
    # As if the process had been killed between writing a line and its checkpoint.
    (out / "metrics.jsonl").write_text(kept + kept.splitlines()[-1] + '\n{"round": 3, "ep')
    resume(out)
    same_run(run, out)


def test_resuming_a_finished_run_returns_its_summary(run: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    assert resume(run) == json.loads((run / "summary.json").read_text())
    assert before == {path.name: path.stat().st_mtime_ns for path in run.iterdir()}


def test_nothing_is_compiled_after_the_first_round(
    counted: tuple[Path, CountCompilations],
) -> None:
    after_round = counted[1].after_round
    assert len(after_round) == 3
    assert after_round[0] > 0
    assert after_round[1:] == after_round[:1] * 2


def test_a_given_reward_is_used_and_must_be_given_again(tmp_path: Path) -> None:
    def upright(state: State, action: Array, next_state: State) -> Scalar:
        return jnp.cos(next_state.q[0])

    out = tmp_path / "run"
    train(ONE_ROUND, out, reward=upright)
    assert "reward_loss" not in records_of(out)[0]
    assert -1.0 <= records_of(out)[0]["imagined_reward"] <= 1.0
    given = evaluate(out, reward=upright)
    assert evaluate(out)["returns"] == given["returns"], "the policy alone is needed"
    loaded, state = load_run(out), State(jnp.zeros(1), jnp.zeros(1))
    with pytest.raises(UserError, match="a reward function, which was not given again"):
        loaded.reward(state, jnp.zeros(1), state)
    (out / "summary.json").unlink()
    with pytest.raises(UserError, match=r"lagdyna\.resume\(run, reward=FUNCTION\)"):
        resume(out)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {
            "learner": {"name": "rmsprop", "updates": 20, "batch": 8},
            "loss": {"name": "multi-step", "window": 4},
            "model": {"dissipation": "viscous", "activation": "tanh"},
            "solver": {"name": "semi_implicit_euler", "substeps": 2},
            "agent": {
                "critics": 2,
                "uniform_starts": 1.0,
                "high_reward_starts": 0.0,
                "initial_starts": 0.0,
            },
            "collect": {"capacity": 10, "hold": 3},
        },
        {"solver": {"name": "bosh3", "rtol": 1e-3, "atol": 1e-3}},
    ],
    ids=["others", "adaptive"],
)
def test_every_part_can_be_swapped_in_the_config(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    summary = train(small_config(steps=20, **changes), tmp_path / "run")
    assert np.isfinite(summary["return_mean"])
    assert records_of(tmp_path / "run")[0]["skipped_updates"] == 0


def test_a_run_in_double_precision(tmp_path: Path) -> None:
    """`tests/training/test_trainer.py` has the types of the other model."""
    with jax.enable_x64(True):
        train(ONE_ROUND, tmp_path / "run")
        loaded = load_run(tmp_path / "run")
    policy: Any = loaded.training.policy
    leaves = jax.tree.leaves(policy.network.layers)
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype("float64")}


def test_a_loaded_run_has_a_lagrangian_and_its_metrics(run: Path) -> None:
    loaded = load_run(run)
    delan = loaded.model.lagrangian
    q, qd = jnp.asarray([0.3]), jnp.asarray([0.7])

    @jax.jit
    def force(q: Array, qd: Array, force: Array) -> Array:
        """The force that the acceleration by a force needs."""
        return delan.inverse_dynamics(q, qd, delan.forward_dynamics(q, qd, force))

    np.testing.assert_allclose(force(q, qd, jnp.asarray([0.5])), [0.5], rtol=1e-4)
    assert loaded.records == records_of(run)
    assert int(loaded.training.env_steps) == 60
    assert loaded.transition is loaded.world_model.transition
    assert loaded.reward is loaded.world_model.reward
    assert isinstance(loaded.model, LearnedModel)
    assert loaded.posterior is None
    assert load(run).config == loaded.config


def test_a_run_directory_is_never_overwritten(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="already holds a run"):
        train(small_config(), run)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        train(small_config(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            small_config(
                task={**dataclasses.asdict(SHORT_TASK), "force": ((1.0, 2.0),)}, steps=60
            ),
            "`force` has 2 columns",
        ),
        (
            small_config(task="pendulum", evaluation={"max_steps": 999}),
            r"`evaluation.max_steps` was 999, and 2 of 2 .*larger",
        ),
        (
            small_config(learner={"name": "ekf"}, model={"hidden": [3000, 3000]}),
            "`model.hidden` was .3000, 3000., which makes",
        ),
    ],
    ids=["environment", "episodes", "memory"],
)
def test_an_impossible_run_is_refused_before_anything_is_written(
    config: Config, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        train(config, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_an_option_of_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`model.dissipation` is no option of 'mlp'"):
        train(small_config(model={"name": "mlp", "dissipation": "viscous"}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_one_episode_is_enough_to_learn_the_swing_up(tmp_path: Path, seed: int) -> None:
    config = config_from_table({"steps": 200, "seed": seed})
    assert train(config, tmp_path / "run")["return_mean"] > -200


def test_an_environment_that_breaks_its_description_ends_the_run(tmp_path: Path) -> None:
    task = dataclasses.replace(get_task("Pendulum-v1"), env_id="lagdyna-tests/Undefined-v0")
    config = dataclasses.replace(small_config(), task=task)
    with pytest.raises(UserError, match="returned nan in entry 2 of an observation; only"):
        train(config, tmp_path / "run")
