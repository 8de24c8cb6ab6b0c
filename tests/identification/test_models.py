"""Fits of every model and every loss."""

import json
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import State, UserError
from lagdyna.mechanics import FixedActuation, MechanicalSystem
from lagdyna.parts import (
    MODELS,
    AdamConfig,
    ConstrainedMLPConfig,
    KnownConfig,
    LevenbergMarquardtConfig,
    NeuralODEConfig,
    ResidualConfig,
    SolverConfig,
)
from lagdyna.runs import fit_model, load_fit
from lagdyna.simulate import LearnedModel
from lagdyna.systems import Pendulum

from .small import ANGLE, SHORT, SMALL, fit_without_report, small

REST = jnp.asarray([0.0])
LEAST_SQUARES = LevenbergMarquardtConfig(updates=15)
EULER = SolverConfig(name="euler")  # its programs are half as long as those of the default


# Robots need a description; see `test_robots.py`.
# Robots need a description; a simulator is of an environment.
FITTED = [x for x in MODELS.variants if not x.startswith(("robot", "simulator"))]


@pytest.mark.parametrize("name", FITTED)
def test_every_model_is_fitted_reported_and_loaded(
    name: str, file: Path, system: str, tmp_path: Path
) -> None:
    out, kind = tmp_path / "run", MODELS.variants[name]
    options: dict[str, Any] = {"hidden": (8,), "known": f"{system}:system"}
    has = {key: value for key, value in options.items() if key in kind.__struct_fields__}
    # Transitions of whole steps have no solver.
    solver = None if "mlp" in name else EULER
    report = fit_model(small(file, model=kind(**has), solver=solver), out)
    assert report == json.loads((out / "report.json").read_text())
    assert report["model"] == name
    pictures = {path.stem for path in out.glob("*.png")}
    lagrangian = name in ("delan", "lnn", "known")
    energetic = lagrangian or "hnn" in name
    assert pictures == {"learning_curve", "phase", "rollout_error"} | (
        {"torque"} if lagrangian else set()
    ) | ({"energy"} if energetic else set())
    assert (report["validation"]["energy_drift"] is not None) == energetic
    assert (report["validation"]["torque"] is not None) == lagrangian
    assert (report["solver"] is None) == ("mlp" in name)
    assert (report["parameters"] is not None) == (name == "known")
    run = load_fit(out, trust=True)
    assert run.report == report
    assert [record["updates"] for record in run.records] == [1, 2, 3, 4]
    state = State(jnp.asarray([0.1]), jnp.asarray([0.2]))
    state = eqx.filter_jit(run.model.step)(state, jnp.asarray([0.5]))
    assert state.q.shape == state.qd.shape == (1,)
    if not lagrangian:
        with pytest.raises(ValueError, match="has no Lagrangian"):
            run.model.mass_matrix(state.q, state.qd)


# The tests above take forward and one-step.
@pytest.mark.parametrize(
    ("loss", "model"), [("multi-step", NeuralODEConfig(hidden=(8,))), ("inverse", SMALL)]
)
def test_every_loss_falls(loss: str, model: Any, file: Path, tmp_path: Path) -> None:
    learner = AdamConfig(updates=200, batch=32)
    config = small(file, loss=loss, model=model, learner=learner, solver=EULER)
    fit_without_report(config, tmp_path / "run")
    records = load_fit(tmp_path / "run").records
    assert records[-1]["loss"] < records[0]["loss"]
    assert all(record["skipped_updates"] == 0 for record in records)


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("what", ["system", "lagrangian"])
def test_the_parameters_of_a_known_system_are_found(
    file: Path, system: str, tmp_path: Path, what: str
) -> None:
    out = tmp_path / "run"
    model = KnownConfig(known=f"{system}:{what}", fixed=("gravity", "length"))
    report = fit_model(small(file, model=model, learner=LEAST_SQUARES), out)
    found = {each["name"].rpartition(".")[2]: each for each in report["parameters"]}
    # A rod of 1 kg and 1 m has the inertia m l^2 / 3 about its end.
    fitted = {name: np.asarray(each["fitted"]) for name, each in found.items()}
    loaded = load_fit(out, trust={"known": f"{system}:{what}"}).model
    inertia = eqx.filter_jit(loaded.mass_matrix)(REST, REST)
    np.testing.assert_allclose(inertia, [[1 / 3]], rtol=1e-4)
    for name in ("gravity", "length"):
        np.testing.assert_array_equal(fitted[name], found[name]["start"])
    assert np.any(fitted["mass"] != np.asarray(found["mass"]["start"]))
    assert report["validation"]["torque"][0] < 1e-3


def test_a_known_system_can_be_given_as_an_object(file: Path, tmp_path: Path) -> None:
    known = MechanicalSystem(Pendulum.rod(mass=1.6), ANGLE, FixedActuation(((1.0,),)))
    config = small(file, model=KnownConfig(), learner=LEAST_SQUARES)
    fit_without_report(config, tmp_path / "run", known=known)
    with pytest.raises(UserError, match="needs `model.known`"):
        load_fit(tmp_path / "run")
    model = load_fit(tmp_path / "run", known=known).model
    inertia = eqx.filter_jit(model.mass_matrix)(REST, REST)
    np.testing.assert_allclose(inertia, [[1 / 3]], rtol=1e-4)


def test_a_residual_force_corrects_the_known_system(
    file: Path, system: str, tmp_path: Path
) -> None:
    model = ResidualConfig(known=f"{system}:system", hidden=(16,))
    config = small(file, model=model, learner=AdamConfig(updates=1500, batch=32))
    fit_without_report(config, tmp_path / "run")
    models = [
        Pendulum.rod(mass=1.6),
        Pendulum.rod(),
        load_fit(tmp_path / "run", trust=True).model,
    ]

    @eqx.filter_jit
    def accelerations(models: list[Any], *motion: jax.Array) -> list[jax.Array]:
        return [each.forward_dynamics(*motion) for each in models]

    q, qd, tau = jnp.asarray([0.7]), jnp.asarray([0.5]), jnp.asarray([1.0])
    wrong, truth, found = (np.asarray(x).item() for x in accelerations(models, q, qd, tau))
    assert abs(found - truth) < 0.3 * abs(wrong - truth)


def test_known_equations_constrain_a_network_for_whole_steps(
    file: Path, system: str, tmp_path: Path
) -> None:
    """The equation says that positions follow from velocities."""

    def violation(name: str, weight: float, residual: Any) -> float:
        option = f"{system}:kinematics" if residual is None else None
        model = ConstrainedMLPConfig(hidden=(16,), residual=option, residual_weight=weight)
        config = small(file, model=model, learner=AdamConfig(updates=400, batch=32))
        fit_without_report(config, tmp_path / name, residual=residual)
        # The network contains no equations, so that objects need not be given to load it.
        learned = load_fit(tmp_path / name, trust=True).model
        rng = np.random.default_rng(0)
        q, qd = (jnp.asarray(x) for x in rng.uniform(-3, 3, (2, 64, 1)))

        @eqx.filter_jit
        def errors(learned: LearnedModel, q: jax.Array, qd: jax.Array) -> jax.Array:
            after = jax.vmap(learned.step)(State(q, qd), jnp.zeros((64, 1)))
            return ANGLE.difference(after.q, q) / 0.05 - 0.5 * (qd + after.qd)

        return float(np.sqrt(np.mean(np.square(errors(learned, q, qd)))))

    def kinematics(state: State, action: Any, next_state: State) -> Any:
        step = ANGLE.difference(next_state.q, state.q)
        return step / 0.05 - 0.5 * (state.qd + next_state.qd)

    free = violation("without", 0.0, None)
    assert violation("with", 30.0, kinematics) < 0.8 * free


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (KnownConfig(), "'known', which needs `model.known`"),
        (KnownConfig(known="mine:system"), "a Python file and a name in it"),
        (KnownConfig(known="{}:nothing"), "has no 'nothing'"),
        (KnownConfig(known="no/file.py:system"), "there is no file 'no/file.py'"),
        (KnownConfig(known="{}:kinematics"), "a function; a MechanicalSystem"),
        (ResidualConfig(known="{}:two_motors"), "does not fit the 1 coordinates"),
        (
            KnownConfig(known="{}:system", fixed=("g",)),
            "`model.fixed` was .'g'.; accepted: all, or some of lagrangian.mass",
        ),
        (
            KnownConfig(known="{}:system", fixed=("mass", "length", "gravity")),
            "nothing is left to learn",
        ),
        (KnownConfig(known="{}:system", fixed=("all",)), "nothing is left to learn"),
        (ConstrainedMLPConfig(), "needs `model.known`, or `model.residual`"),
        (
            ConstrainedMLPConfig(residual="{}:fails"),
            "failed on a step of the data: RuntimeError: not today",
        ),
    ],
)
def test_a_wrong_file_of_a_user_is_one_sentence(
    file: Path, system: str, tmp_path: Path, model: Any, message: str
) -> None:
    options = {name: getattr(model, name) for name in model.__struct_fields__}
    filled = {
        name: value.format(system) if isinstance(value, str) else value
        for name, value in options.items()
    }
    with pytest.raises(UserError, match=message) as raised:
        fit_model(small(file, model=type(model)(**filled), learner=SHORT), tmp_path / "run")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()
