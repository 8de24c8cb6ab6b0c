"""The suite's figures, from made-up runs and from systems that are solved by hand."""

import json
from collections.abc import Callable
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import State
from lagdyna.agents import Features, Policy
from lagdyna.experiments import (
    REPRODUCTIONS,
    AbstractProgress,
    AbstractReproduction,
    Config,
    Entry,
    Run,
    Trainer,
    UserError,
    reproduce,
)
from lagdyna.experiments._curves import steps_to
from lagdyna.experiments._toml import config_to_toml
from lagdyna.experiments.reproductions import _runs as runs
from lagdyna.experiments.reproductions._ramesh2023_suite import (
    PAPER,
    Ramesh2023Suite,
    Steps,
    at_step,
    converged_return,
    make_part,
    noisy_steps,
    one_step_errors,
)
from lagdyna.experiments.reproductions._reproduction import Result, Results, entry
from lagdyna.mechanics import FixedActuation, MechanicalSystem
from lagdyna.simulate import LagrangianField, MLPTransition, SolvedTransition
from lagdyna.systems import Pendulum
from lagdyna.tasks import SUITE, get_task, suite_task

from .small import small_config


def part(returns: list[float], l1: float, held: float) -> Result:
    """A made-up run, judged every 100 steps."""
    numbers = {"l1": l1, "observed": 2 * l1, "held_l1": held, "held_observed": 2 * held}
    return {
        "steps": 100 * np.arange(1, len(returns) + 1),
        "returns": np.asarray(returns),
        "seconds": np.asarray(1.0),
        **{name: np.asarray(value) for name, value in numbers.items()},
    }


def reported(tmp_path: Path, parts: dict[str, list[Result]]) -> dict[str, Entry]:
    entries = REPRODUCTIONS["ramesh2023-suite"].report(tmp_path, Results(parts), False)
    return {each.name: each for each in entries}


def test_entries_of_made_up_runs(tmp_path: Path) -> None:
    # The paper converges to 787, 95 % of which are 747.65.
    rising = [10.0, 747.6, 747.7, 500.0, 780.0, 0.0, 0.0, 0.0, 0.0, 760.0]
    never = [700.0] * 10
    found = reported(
        tmp_path,
        {
            "pendulum.delan": [part(rising, 1e-5, 4e-5), part(never, 3e-5, 8e-5)],
            "pendulum.mlp": [part(never, np.nan, 5e-4), part(never, np.nan, 7e-4)],
        },
    )
    value = found["return.pendulum"]
    assert value[:5] == ("return.pendulum", 787.0, 730.0, 700.0, 760.0)
    steps = found["steps_to_95.pendulum"]
    assert steps[1:7] == (125_000.0, 300.0, 300.0, 300.0, "steps", 2)
    assert "1 of 2 seeds never reached it in 1000 steps" in steps.note
    none = found["steps_to_95.pendulum.mlp"]
    assert (none.ours, none.low, none.high) == (None, None, None)
    assert "2 of 2 seeds never reached it" in none.note
    error, network = found["one_step_l1.pendulum"], found["one_step_l1.pendulum.mlp"]
    np.testing.assert_allclose([error.paper, network.paper], [3.5e-5, 109e-5])
    np.testing.assert_allclose([error.ours, error.low, error.high], [2e-5, 1e-5, 3e-5])
    np.testing.assert_allclose([network.ours, found["held_l1.pendulum"].ours], [6e-4, 6e-5])
    np.testing.assert_allclose(found["observed_l1.pendulum"].ours, 4e-5)
    np.testing.assert_allclose(found["observed_l1.pendulum.mlp"].ours, 12e-4)
    assert "over the task's dt" in error.note
    assert "over an action's time" in network.note
    assert "held_l1.pendulum.mlp" not in found  # that is its error of one step
    better = found["better_return.pendulum"]  # 760 and 700 beside two of 700
    assert better.ours == pytest.approx(0.5 + 2 * 0.5 / 4)
    assert "probability that a seed of delan has a higher return" in better.note
    assert (tmp_path / "curves.png").exists()


def test_seeds_are_aggregated_by_their_middle_half(tmp_path: Path) -> None:
    seeds = [part([x], 1e-5 * x, 1.0) for x in (1.0, 600.0, 700.0, 800.0)]
    found = reported(tmp_path, {"acrobot.delan": seeds})
    value = found["return.acrobot"]
    assert (value.paper, value.ours, value.low, value.high) == (912.0, 650.0, 1.0, 800.0)
    np.testing.assert_allclose(found["one_step_l1.acrobot"].ours, 650e-5)
    assert all("interquartile mean" in each.note for each in found.values())


def test_a_return_is_of_the_last_tenth_and_steps_are_to_the_first_that_is_there() -> None:
    returns = np.arange(20.0)
    assert converged_return(returns) == 18.5
    assert converged_return(returns[:3]) == 2.0
    steps = np.arange(20) * 50
    assert steps_to(steps, returns, 7.0) == 350.0
    assert steps_to(steps, returns[::-1].copy(), 7.0) == 0.0
    assert np.isnan(steps_to(steps, returns, 19.5))


def test_the_paper_s_table() -> None:
    assert set(PAPER) == set(SUITE)
    for task in PAPER.values():
        # Nowhere does the paper's LNN do worse than its DNN, and it is ever nearer the truth.
        assert task.delan.value >= task.mlp.value
        assert task.delan.error < task.mlp.error / 5
        assert task.delan.steps == task.mlp.steps < task.sac_steps
    triple = PAPER["cart3pole"]
    assert (triple.delan.value, triple.mlp.value, triple.sac) == (917.0, 757.0, 759.0)
    np.testing.assert_allclose([triple.delan.error, triple.mlp.error], [0.00061, 0.01196])


def test_one_step_errors_are_those_by_hand(x64: None) -> None:
    # Euler's method takes a pendulum of 1 kg on 1 m from (q, w) to
    # (q + h w, w + h (g sin q + 2 a)).
    system = MechanicalSystem(
        Pendulum.point_mass(gravity=9.8),
        get_task("pendulum").joint_coordinates,
        FixedActuation(((2.0,),)),
    )
    h, task = 0.1, suite_task("pendulum")
    field = LagrangianField(system)
    long = SolvedTransition(field, system.coordinates, 4 * h, solver="euler", substeps=3)
    transition = at_step(long, h)
    assert transition is not None
    q, w, a = np.asarray([3.1, 0.5]), np.asarray([2.0, -1.0]), np.asarray([0.5, -1.0])
    q_model, w_model = q + h * w, w + h * (9.8 * np.sin(q) + 2 * a)
    q_true, w_true = np.asarray([-3.0, 0.42]), np.asarray([2.3, -0.7])
    columns = [jnp.asarray(x)[:, None] for x in (q, w, a, q_true, w_true)]
    steps = Steps(State(*columns[:2]), columns[2], State(*columns[3:]))
    found = eqx.filter_jit(one_step_errors)(task, transition, steps)
    # 3.3 and -3.0 are 2 pi - 6.3 apart.
    off = [6.3 - 2 * np.pi, 0.02, *(w_model - w_true)]
    np.testing.assert_allclose(found.state, np.mean(np.abs(off)), rtol=1e-12)
    seen = [np.cos(q_model) - np.cos(q_true), np.sin(q_model) - np.sin(q_true)]
    seen = np.stack([*seen, w_model - w_true])
    np.testing.assert_allclose(found.observed, np.mean(np.abs(seen)), rtol=1e-12)


def test_a_network_for_the_change_over_an_action_knows_no_other_time() -> None:
    coordinates = get_task("pendulum").joint_coordinates
    shapes = eqx.filter_eval_shape(lambda: MLPTransition(coordinates, 1, key=jax.random.key(0)))
    assert at_step(shapes, 0.02) is None


def test_models_are_judged_on_true_steps_of_the_policy_with_its_noise(x64: None) -> None:
    task, repeat = suite_task("pendulum"), 300
    features = Features(task.system.coordinates, (5.0,))
    policy = Policy(features, 1, hidden=(4,), activation=jnp.tanh, key=jax.random.key(0))
    program = eqx.filter_jit(noisy_steps)
    single, held = jax.tree.map(np.asarray, program(task, policy, repeat, jax.random.key(1), 2))
    assert single.action.shape == (2 * 900, 1)  # what is left of 1000 steps is left out
    assert held.action.shape == (2 * 3, 1)
    assert single.before.q.dtype == np.float64
    true = jax.jit(jax.vmap(task.advance))(single.before, single.action)
    for x, y in zip(true, single.after, strict=True):
        np.testing.assert_allclose(x, y, atol=1e-12)
    # The steps follow one another, and each 300 of them are one held action.
    for x, y in zip(single.before, single.after, strict=True):
        np.testing.assert_array_equal(x.reshape(2, 900, 1)[:, 1:], y.reshape(2, 900, 1)[:, :-1])
    for x, y in ((single.before, held.before), (single.action, held.action)):
        jax.tree.map(lambda x, y: np.testing.assert_array_equal(x[::repeat], y), x, y)
    for x, y in zip(single.after, held.after, strict=True):
        np.testing.assert_array_equal(x[repeat - 1 :: repeat], y)
    np.testing.assert_array_equal(single.action, np.repeat(held.action, repeat, axis=0))
    assert not np.any(single.before.qd[::900])  # episodes begin at rest
    # Noise: other actions than the policy's own, and not the same in both episodes.
    own = jax.jit(jax.vmap(policy.mode))(held.before)
    assert np.abs(held.action - np.asarray(own)).min() > 1e-6
    assert not np.array_equal(held.action[:3], held.action[3:])


class Made(AbstractReproduction):
    """Parts that are only counted."""

    name = "made"
    title = "made"
    kinds = ("red.x", "red.y", "blue.x", "blue.y")
    seeds = 1
    tasks = ("red", "blue")
    quick_tasks = ("blue",)

    def __init__(self) -> None:
        self.made: list[str] = []

    def make(
        self, kind: str, seed: int, quick: bool, directory: Path, tell: Callable[[str], None]
    ) -> Result:
        self.made.append(kind)
        directory.mkdir(parents=True)
        return {"value": np.asarray(1.0)}

    def report(self, out: Path, results: Results, quick: bool) -> list[Entry]:
        return [entry(kind, results.stacked(kind, "value"), "") for kind in results.parts]


def test_only_chosen_tasks_are_made_and_more_may_follow(tmp_path: Path) -> None:
    made = Made()
    assert [e.name for e in reproduce(made, tmp_path / "q", quick=True)] == ["blue.x", "blue.y"]
    entries = reproduce(made, tmp_path / "q", quick=True, tasks=["red"])
    assert [each.name for each in entries] == ["red.x", "red.y"]
    assert made.made == ["blue.x", "blue.y", "red.x", "red.y"]
    assert len(reproduce(made, tmp_path / "q", quick=True, tasks=["blue", "red"])) == 4
    assert len(made.made) == 4
    begun = json.loads((tmp_path / "q" / "reproduction.json").read_text())
    assert begun["tasks"] == ["blue", "red"]
    assert sorted(path.name for path in (tmp_path / "q" / "runs").iterdir()) == [
        "blue.x-0",
        "blue.y-0",
        "red.x-0",
        "red.y-0",
    ]
    assert len(reproduce(made, tmp_path / "all")) == 4
    with pytest.raises(UserError, match="`tasks` has 'green'; accepted: red, blue"):
        reproduce(made, tmp_path / "no", tasks=["red", "green"])
    with pytest.raises(UserError, match="lutter2019-arm has no tasks to choose from"):
        reproduce(REPRODUCTIONS["lutter2019-arm"], tmp_path / "no", tasks=["red"])
    assert not (tmp_path / "no").exists()


def test_a_run_that_was_interrupted_goes_on_within_its_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, directory, told, calls = small_config(task="pendulum"), tmp_path / "run", [], []
    trainer = Trainer(config)
    training = trainer.init()
    at = [{"env_steps": 10, "return_mean": 3.0}, {"env_steps": 20, "return_mean": 5.0}]
    records = [{"evaluations": at}, {"evaluations": [{"env_steps": 60, "return_mean": 4.0}]}]

    def begin(config: Config, out: Path, progress: AbstractProgress) -> None:
        calls.append("train")
        out.mkdir()
        (out / "config.toml").write_text(config_to_toml(trainer.config))
        progress.begin(config, out, 0, (0,))
        progress.evaluation({**at[0], "return_std": 0.0})
        raise KeyboardInterrupt

    def go_on(out: Path, progress: AbstractProgress) -> dict[str, float]:
        calls.append("resume")
        assert out == directory
        return {"wall_seconds": 7.0}

    monkeypatch.setattr(runs, "train", begin)
    monkeypatch.setattr(runs, "resume", go_on)
    run = Run(config, training.transition, training.reward, training, trainer, records, None)
    monkeypatch.setattr(runs, "load_run", lambda out: run)
    with pytest.raises(KeyboardInterrupt):
        make_part(config, directory, told.append)
    assert told == ["return 3 after 10 of 60 steps"]
    found = make_part(config, directory, told.append)
    assert calls == ["train", "resume"]
    assert told[-1] == "judging the model"
    assert found["steps"].tolist() == [10, 20, 60]
    assert found["returns"].tolist() == [3.0, 5.0, 4.0]
    assert found["seconds"] == 7.0
    # Over half the time a model that knows nothing is about half as far off.
    assert found["l1"].dtype == np.float64
    assert 0.3 < found["l1"] / found["held_l1"] < 0.7
    assert 0.3 < found["observed"] / found["held_observed"] < 0.7


@pytest.mark.slow
def test_the_pendulum_s_dynamics_are_learned_from_little(tmp_path: Path) -> None:
    reproduction = Ramesh2023Suite()
    assert reproduction.seeds == 5
    entries = reproduce(reproduction, tmp_path / "out", seeds=1, quick=True)
    found = {each.name: each.ours for each in entries}
    error, held = found["one_step_l1.pendulum"], found["held_l1.pendulum"]
    network = found["one_step_l1.pendulum.mlp"]
    assert error is not None
    assert held is not None
    assert network is not None
    assert error < 5e-3
    assert held < network
    assert (tmp_path / "out" / "curves.png").exists()
    written = (tmp_path / "out" / "results.json").read_text()
    assert len(json.loads(written, parse_constant=pytest.fail)) == len(entries)
