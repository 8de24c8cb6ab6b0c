"""Sensors and motors that are learned together with a model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import FitConfig, State, UserError
from lagdyna.config import DataConfig, SignalsConfig
from lagdyna.data import Trajectory, TrajectorySet, write
from lagdyna.identification import fit_loop, fit_problem, initial_state
from lagdyna.identification._signals import noise_of, signal_values, true_data
from lagdyna.identification._test_data import Unseen
from lagdyna.learners import MultiStepLoss, SignalLoss, SignalModel
from lagdyna.mechanics import FixedActuation, MechanicalSystem, Signals
from lagdyna.parts import (
    DeLaNConfig,
    KnownConfig,
    LevenbergMarquardtConfig,
    MLPConfig,
    NeuralODEConfig,
    ResidualConfig,
)
from lagdyna.runs import load_fit
from lagdyna.simulate import LearnedModel, rollout, signals_of, without_signals
from lagdyna.systems import Pendulum

from .small import ANGLE, fit_without_report, small

DT = 0.01
TRUE = {"gain": 0.3, "offset": 0.2, "delay": 0.013, "lag": 0.02, "position_offset": 0.1}
ALL = SignalsConfig(gain=True, offset=True, delay=True, lag=True, position_offset=True)
ROD = MechanicalSystem(Pendulum.rod(), ANGLE, FixedActuation(((1.0,),)))


def motor(held: bool = False) -> TrajectorySet:
    """Motions of a rod that are chosen, and the motor currents that cause them.

    The current solves `lag du/dt + u = current(t - delay)`, `gain u + offset = torque`.
    """
    rng = np.random.default_rng(0)
    trajectories = []
    for _ in range(3):
        size, speed, phase = rng.uniform((0.5, 1, 0), (1.5, 12, 6), (4, 3)).T[:, :, None]
        size = 4 * size / speed

        def wave(t: np.ndarray, k: int, s: Any = size, w: Any = speed, p: Any = phase) -> Any:
            """Compute derivative `k` of the motion."""
            return np.sum(s * w**k * np.sin(w * t + p + k * np.pi / 2), axis=0)

        def inside(t: np.ndarray, wave: Any = wave) -> np.ndarray:
            """Compute the current behind the lag."""
            torque = wave(t, 2) / 3 - 5 * np.sin(wave(t, 0))  # a rod of 1 kg and 1 m
            return (torque - TRUE["offset"]) / TRUE["gain"]

        t = DT * np.arange(151)
        at, h = t + TRUE["delay"], 1e-5
        current = inside(at) + TRUE["lag"] * (inside(at + h) - inside(at - h)) / (2 * h)
        q = wave(t, 0) + TRUE["position_offset"]
        columns = [x[:, None] for x in (q, wave(t, 1), wave(t, 2))]
        control = {"action" if held else "tau": current[:, None]}
        trajectories.append(Trajectory(t, *columns, **control))
    return TrajectorySet(trajectories)


@pytest.fixture(scope="module")
def motor_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "motor.npz"
    write(path, motor())
    return path


def config(file: Path, **parts: Any) -> FitConfig:
    """A fit of the signals of a rod that is known."""
    usual = {
        "model": KnownConfig(fixed=("all",)),
        "learner": LevenbergMarquardtConfig(updates=15),
        "signals": ALL,
    }
    return FitConfig(data=DataConfig(file=str(file), angles="all"), **{**usual, **parts})


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("loss", ["one-step", "inverse"])
def test_signals_are_recovered(motor_file: Path, loss: str) -> None:
    problem = fit_problem(config(motor_file, loss=loss), known=ROD)
    state = initial_state(problem.config, problem.plant)
    state, records = fit_loop(problem, state, [], lambda state, records: None)
    signals = signals_of(state.transition)
    assert records[-1]["validation_loss"] < 1e-5
    for name, value in TRUE.items():
        close = 1e-3 if name in ("delay", "lag") else 3e-3
        assert np.asarray(getattr(signals, name)).item() == pytest.approx(value, abs=close)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("loss", ["one-step", "multi-step", "forward"])
def test_the_loss_and_the_report_get_the_same_true_data(motor_file: Path, loss: str) -> None:
    start = replace(ALL, **TRUE, max_delay=0.03, max_lag=0.04)
    problem = fit_problem(config(motor_file, loss=loss, signals=start), known=ROD)
    signals = start.build(problem.plant)
    assert isinstance(problem.loss, SignalLoss)
    assert signals is not None
    true_rows = eqx.filter_jit(problem.loss.true_rows)
    rows = jax.tree.map(np.asarray, true_rows(signals, problem.training))
    # A batch of many rows and single rows take different ways.
    place, controls = problem.training.place, problem.loss.controls
    assert controls is not None
    assert (place.size >= len(controls)) == (loss == "multi-step")
    alone = jax.tree.map(lambda x: jnp.asarray(np.asarray(x)[20:23]), problem.training)
    alone = eqx.filter_jit(jax.vmap(lambda row: problem.loss.true_rows(signals, row)))(alone)
    for one, all_of_them in zip(jax.tree.leaves(alone), jax.tree.leaves(rows), strict=True):
        np.testing.assert_allclose(one, all_of_them[20:23], atol=1e-12)
    unseen = Unseen(problem.data.raw.validation, problem.data.steps.validation)
    data = true_data(problem.data._replace(test=unseen), signals)
    assert data.test is not None
    for mine, theirs in zip(data.test.raw, data.raw.validation, strict=True):
        assert np.array_equal(mine.arrays["tau"], theirs.arrays["tau"])
    # No control is the last row's, except for accelerations.
    part, end = (data.raw, None) if loss == "forward" else (data.steps, -1)
    expected = np.concatenate([each.arrays["tau"][:end] for each in part.training])
    found = rows[0] if loss == "multi-step" else rows
    action = found.action[:, :1] if loss == "multi-step" else found.action
    for control in np.asarray(action).reshape(-1)[::7]:
        assert np.min(np.abs(expected - control)) < 1e-9
    if loss == "forward":
        row = (x[40] for x in (*found.state, found.qdd))
        off = found.action[40] - np.asarray(eqx.filter_jit(ROD.inverse_dynamics)(*row))
        assert abs(off.item()) < 0.02


@pytest.mark.usefixtures("x64")
def test_true_data_obey_the_equations(motor_file: Path) -> None:
    problem = fit_problem(config(motor_file, loss="inverse"), known=ROD)
    signals = replace(ALL, **TRUE).build(problem.plant)
    data = true_data(problem.data, signals)
    assert data.raw.training[0].rows == 151 - 15  # without the tenth of unknown history
    for each in data.raw.training:
        assert each.qdd is not None
        torque = each.qdd / 3 - 5 * np.sin(each.q)
        inner = slice(5, -5)  # the ends of the recorded current are held
        np.testing.assert_allclose(each.arrays["tau"][inner], torque[inner], atol=0.02)


def test_every_model_may_have_a_delay(motor_file: Path) -> None:
    signals = SignalsConfig(delay=0.01)
    for model, known in (
        (DeLaNConfig(hidden=(4,)), None),
        (ResidualConfig(hidden=(4,)), ROD),
    ):
        given = config(motor_file, model=model, loss="one-step", signals=signals)
        problem = fit_problem(given, known=known)
        transition = initial_state(problem.config, problem.plant).transition
        found = signals_of(transition)
        assert found is not None

        def loss(part: SignalModel, problem: Any = problem) -> jax.Array:
            return problem.loss(part, problem.training)

        part = SignalModel(without_signals(transition), found)
        slope = eqx.filter_eval_shape(eqx.filter_grad(loss), part).signals
        assert slope.scaled_delay is not None
        assert slope.scaled_lag is None


@pytest.mark.parametrize(
    ("model", "signals", "match"),
    [
        (DeLaNConfig(), {"gain": True}, "represent it itself; known and residual"),
        (DeLaNConfig(), {"position_offset": True}, "represent it itself; known and residual"),
        (NeuralODEConfig(), {"offset": True}, "delan, lnn, known and residual accept"),
        (KnownConfig(), {"gain": (1.0, 2.0)}, r"`signals.gain` was \[1.0, 2.0\]; one number"),
        (KnownConfig(), {"noise": True}, "compares no positions"),
        (KnownConfig(), {"gain": -1.0}, "`signals.gain` was -1.0; more than 0"),
        (KnownConfig(), {"delay": 0.2}, "`signals.delay` was 0.2; a size below"),
        (KnownConfig(), {"lag": 0.0}, "`signals.lag` was 0.0; above 0"),
    ],
)
def test_what_data_cannot_tell_is_refused(
    motor_file: Path, model: Any, signals: dict[str, Any], match: str
) -> None:
    known = ROD if model.equations else None
    with pytest.raises(UserError, match=match):
        fit_problem(config(motor_file, model=model, signals=signals), known=known)


def test_signals_need_a_control(motor_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "held.npz"
    write(path, motor(held=True))
    with pytest.raises(UserError, match="no control was recorded"):
        data = DataConfig(file=str(path), angles="all", control="none")
        fit_problem(replace(config(path), data=data), known=ROD)
    with pytest.raises(UserError, match="matrix from actions to forces is learned already"):
        fit_problem(config(path), known=Pendulum.rod())


def test_a_gain_without_a_known_parameter_is_a_note(motor_file: Path) -> None:
    free = fit_problem(config(motor_file, model=KnownConfig()), known=ROD).data.notes
    fixed = fit_problem(config(motor_file), known=ROD).data.notes
    assert any("moves heavier masses alike" in note for note in free)
    assert not any("moves heavier masses alike" in note for note in fixed)
    residual = config(motor_file, model=ResidualConfig(hidden=(4,)))
    notes = fit_problem(residual, known=ROD).data.notes
    assert any("can represent gain and offset and position_offset too" in x for x in notes)


@pytest.mark.usefixtures("x64")
def test_the_rounding_of_encoders_is_a_weight(tmp_path: Path) -> None:
    path, step = tmp_path / "rounded.npz", 0.02
    rounded = [
        Trajectory(**{**each.arrays, "q": np.round(each.q / step) * step}) for each in motor()
    ]
    write(path, TrajectorySet(rounded))
    given = config(path, model=KnownConfig(), loss="multi-step", signals={"noise": True})
    problem = fit_problem(given, known=ROD)
    noise = noise_of(problem.data)
    assert noise.q.item() == pytest.approx(step / np.sqrt(12), rel=1e-6)
    assert isinstance(problem.loss, MultiStepLoss)
    usual = problem.plant.step_scale
    assert usual is not None
    expected = np.sqrt(usual.q.item() ** 2 + 2 * noise.q.item() ** 2)
    assert problem.loss.scale.q.item() == pytest.approx(expected, rel=1e-3)


def test_a_run_keeps_its_signals(file: Path, tmp_path: Path) -> None:
    signals = {"delay": 0.03, "lag": True}
    given = small(file, model=MLPConfig(hidden=(8,)), signals=signals)
    fit_without_report(given, tmp_path / "run")
    run = load_fit(tmp_path / "run")
    found = run.model.signals
    assert found is not None
    assert found.dt == pytest.approx(0.05)
    values = signal_values(run, found)
    assert values is not None
    assert set(values) == {"delay", "lag"}
    assert values["delay"] == pytest.approx(0.03, abs=1e-3)
    assert values["delay"] != pytest.approx(0.03, abs=1e-8)  # learned
    # A rollout applies the delay to the whole sequence.
    start = State(jnp.asarray([0.0]), jnp.asarray([1.0]))
    actions = jnp.asarray(np.sin(np.arange(6.0))[:, None])

    @eqx.filter_jit
    def both(model: LearnedModel, signals: Signals) -> tuple[jax.Array, jax.Array]:
        late = rollout(model.transition, start, signals.filtered(actions))
        return model.rollout(start, actions).q, late.q

    np.testing.assert_allclose(*both(run.model, found), rtol=1e-6)
