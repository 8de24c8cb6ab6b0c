import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import Config, State, UserError
from lagdyna.agents import Features, Policy
from lagdyna.mechanics import FixedActuation, MechanicalSystem
from lagdyna.progress import AbstractProgress
from lagdyna.reproductions import REPRODUCTIONS, Entry, Result, Results, reproduce
from lagdyna.reproductions import _runs as runs
from lagdyna.reproductions.ramesh2023_suite import (
    PAPER,
    Ramesh2023Suite,
    converged_return,
    make_part,
)
from lagdyna.reproductions.ramesh2023_suite._model_error import (
    Steps,
    noisy_steps,
    one_step_errors,
    with_dt,
)
from lagdyna.results import steps_to
from lagdyna.runs import Run
from lagdyna.runs._directory import begin_directory
from lagdyna.simulate import LagrangianField, MLPTransition, SolvedTransition
from lagdyna.systems import Pendulum
from lagdyna.tasks import SUITE, get_task, suite_task
from lagdyna.training import Trainer

from ..small import small_config


def part(returns: list[float], l1: float, held: float) -> Result:
    """A made-up run with an evaluation every 100 steps."""
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
    assert (error.paper, network.paper) == pytest.approx((3.5e-5, 109e-5))
    assert (error.ours, error.low, error.high) == pytest.approx((2e-5, 1e-5, 3e-5))
    assert network.ours == pytest.approx(6e-4)
    assert found["held_l1.pendulum"].ours == pytest.approx(6e-5)
    assert found["observed_l1.pendulum"].ours == pytest.approx(4e-5)
    assert found["observed_l1.pendulum.mlp"].ours == pytest.approx(12e-4)
    assert "over the task's dt" in error.note
    assert "over an action's time" in network.note
    assert "held_l1.pendulum.mlp" not in found  # the same as its one-step error
    better = found["better_return.pendulum"]  # 760 and 700 against two of 700
    assert better.ours == pytest.approx(0.5 + 2 * 0.5 / 4)
    assert "probability that a seed of delan has a higher return" in better.note
    assert (tmp_path / "curves.png").exists()


def test_seeds_are_aggregated_by_the_interquartile_mean(tmp_path: Path) -> None:
    seeds = [part([x], 1e-5 * x, 1.0) for x in (1.0, 600.0, 700.0, 800.0)]
    found = reported(tmp_path, {"acrobot.delan": seeds})
    value = found["return.acrobot"]
    assert (value.paper, value.ours, value.low, value.high) == (912.0, 650.0, 1.0, 800.0)
    assert found["one_step_l1.acrobot"].ours == pytest.approx(650e-5)
    assert all("interquartile mean" in each.note for each in found.values())


def test_converged_returns_are_means_of_the_last_tenth() -> None:
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
        # The paper's LNN is never worse than its DNN, and its error is always far smaller.
        assert task.delan.value >= task.mlp.value
        assert task.delan.error < task.mlp.error / 5
        assert task.delan.steps == task.mlp.steps < task.sac_steps
    triple = PAPER["cart3pole"]
    assert (triple.delan.value, triple.mlp.value, triple.sac) == (917.0, 757.0, 759.0)
    np.testing.assert_allclose([triple.delan.error, triple.mlp.error], [0.00061, 0.01196])


def test_one_step_errors_by_hand(x64: None) -> None:
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
    transition = with_dt(long, h)
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
    observed = [np.cos(q_model) - np.cos(q_true), np.sin(q_model) - np.sin(q_true)]
    observed = np.stack([*observed, w_model - w_true])
    np.testing.assert_allclose(found.observed, np.mean(np.abs(observed)), rtol=1e-12)


def test_a_network_for_whole_steps_has_one_step_size() -> None:
    coordinates = get_task("pendulum").joint_coordinates
    shapes = eqx.filter_eval_shape(lambda: MLPTransition(coordinates, 1, key=jax.random.key(0)))
    assert with_dt(shapes, 0.02) is None


def test_errors_are_of_true_steps_of_the_noisy_policy(x64: None) -> None:
    task, repeat = suite_task("pendulum"), 300
    features = Features(task.system.coordinates, (5.0,))
    policy = Policy(features, 1, hidden=(4,), activation=jnp.tanh, key=jax.random.key(0))
    program = eqx.filter_jit(noisy_steps)
    single, held = jax.tree.map(np.asarray, program(task, policy, repeat, jax.random.key(1), 2))
    assert single.action.shape == (2 * 900, 1)  # the rest of 1000 steps is left out
    assert held.action.shape == (2 * 3, 1)
    assert single.before.q.dtype == np.float64
    true = jax.jit(jax.vmap(task.advance))(single.before, single.action)
    for x, y in zip(true, single.after, strict=True):
        np.testing.assert_allclose(x, y, atol=1e-12)
    # The steps are consecutive, and each 300 of them have the same action.
    for x, y in zip(single.before, single.after, strict=True):
        np.testing.assert_array_equal(x.reshape(2, 900, 1)[:, 1:], y.reshape(2, 900, 1)[:, :-1])
    for x, y in ((single.before, held.before), (single.action, held.action)):
        jax.tree.map(lambda x, y: np.testing.assert_array_equal(x[::repeat], y), x, y)
    for x, y in zip(single.after, held.after, strict=True):
        np.testing.assert_array_equal(x[repeat - 1 :: repeat], y)
    np.testing.assert_array_equal(single.action, np.repeat(held.action, repeat, axis=0))
    assert not np.any(single.before.qd[::900])  # episodes begin at rest
    # Noise: actions differ from the policy's mode, and between the episodes.
    own = jax.jit(jax.vmap(policy.mode))(held.before)
    assert np.abs(held.action - np.asarray(own)).min() > 1e-6
    assert not np.array_equal(held.action[:3], held.action[3:])


def test_an_interrupted_run_continues_within_its_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, directory, events, calls = small_config(task="pendulum"), tmp_path / "run", [], []
    trainer = Trainer(config)
    training = trainer.init()
    at = [{"env_steps": 10, "return_mean": 3.0}, {"env_steps": 20, "return_mean": 5.0}]
    records = [{"evaluations": at}, {"evaluations": [{"env_steps": 60, "return_mean": 4.0}]}]

    def begin(config: Config, out: Path, progress: AbstractProgress) -> None:
        calls.append("train")
        out.mkdir()
        begin_directory(out, trainer)
        progress.begin(trainer.config, out, 0, (0,))
        progress.evaluation({**at[0], "return_std": 0.0})
        raise KeyboardInterrupt

    def resume(out: Path, progress: AbstractProgress) -> dict[str, float]:
        calls.append("resume")
        assert out == directory
        return {"wall_seconds": 7.0}

    monkeypatch.setattr(runs, "train", begin)
    monkeypatch.setattr(runs, "resume_run", resume)
    run = Run(trainer.config, training, trainer, records, None)
    monkeypatch.setattr(runs, "load_run", lambda out: run)
    with pytest.raises(KeyboardInterrupt):
        make_part(config, directory, events.append)
    assert events == ["return 3 after 10 of 60 steps"]
    found = make_part(config, directory, events.append)
    assert calls == ["train", "resume"]
    assert events[-1] == "evaluating the model"
    assert found["steps"].tolist() == [10, 20, 60]
    assert found["returns"].tolist() == [3.0, 5.0, 4.0]
    assert found["seconds"] == 7.0
    # An untrained model is about half as far off over half the time.
    assert found["l1"].dtype == np.float64
    assert 0.3 < found["l1"] / found["held_l1"] < 0.7
    assert 0.3 < found["observed"] / found["held_observed"] < 0.7
    with pytest.raises(UserError, match="was begun with another config: `steps` was 60"):
        make_part(small_config(task="pendulum", steps=80), directory, events.append)


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
