"""`lagdyna fit` as a library: from a file of trajectories to a run directory and back."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from lagdyna import State, compare, fit_model, load, load_fit
from lagdyna.data import Trajectory, TrajectorySet, write
from lagdyna.experiments import (
    FitConfig,
    FittedModel,
    FittedRun,
    UserError,
    fit_config,
    resume_fit,
)
from lagdyna.experiments._fit_build import Sizes
from lagdyna.experiments._fit_data import coordinates_of
from lagdyna.experiments._fitting import _chosen
from lagdyna.experiments._report import energy_drift, motions, rollout_errors
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem
from lagdyna.simulate import LagrangianField, SolvedTransition, rollout
from lagdyna.systems import Pendulum

ANGLE = Coordinates((True,))
MODELS = ("delan", "lnn", "hnn", "structured-hnn", "neural-ode", "mlp")


@pytest.fixture(scope="module")
def recordings() -> TrajectorySet:
    """A pendulum under a torque, its forces and accelerations known."""
    system = MechanicalSystem(Pendulum.rod(), ANGLE, FixedActuation(((1.0,),)))
    transition = SolvedTransition(LagrangianField(system), ANGLE, 0.05, solver="tsit5")
    t = 0.05 * np.arange(41)
    rng = np.random.default_rng(0)

    @jax.jit
    def move(start: State, tau: jax.Array) -> tuple[State, jax.Array]:
        states = rollout(transition, start, tau[:-1])
        return states, jax.vmap(system.forward_dynamics)(*states, tau)

    trajectories = []
    for _ in range(6):
        tau = 2 * np.sin(t * rng.uniform(1, 4) + rng.uniform(0, 6))[:, None]
        start = State(jnp.asarray(rng.uniform(-3, 3, 1)), jnp.asarray(rng.uniform(-3, 3, 1)))
        states, qdd = move(start, jnp.asarray(tau))
        q = np.unwrap(np.asarray(states.q, np.float64), axis=0)
        trajectories.append(Trajectory(t, q, np.asarray(states.qd), np.asarray(qdd), tau))
    return TrajectorySet(trajectories)


@pytest.fixture(scope="module")
def file(recordings: TrajectorySet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "pendulum.npz"
    write(path, recordings)
    return path


def table(file: Path, **changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "data": {"file": str(file), "angles": "all"},
        "model": {"hidden": [16]},
        "learner": {"updates": 60, "batch": 32},
    }
    for key, value in changes.items():
        whole[key] = {**whole.get(key, {}), **value} if isinstance(value, dict) else value
    return whole


@pytest.fixture(scope="module")
def learned(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DeLaN that was given time to learn."""
    out = tmp_path_factory.mktemp("fit") / "run"
    fit_model(
        fit_config(table(file, learner={"updates": 3000}, model={"hidden": [32, 32]})), out
    )
    return out


def test_a_fit_finds_the_pendulum(learned: Path, recordings: TrajectorySet) -> None:
    report = json.loads((learned / "report.json").read_text())
    assert report["loss"] == "forward"
    assert report["control"] == "tau"
    assert (report["training"]["trajectories"], report["validation"]["trajectories"]) == (5, 1)
    qdd = np.concatenate([np.asarray(x.qdd) for x in recordings])
    for part in ("training", "validation"):
        assert report[part]["acceleration"][0] < 0.1 * np.std(qdd)
        assert report[part]["torque"][0] < 0.2
    run = load_fit(learned)
    at = (jnp.asarray([0.5]), jnp.asarray([1.0]))
    assert float(run.model.mass_matrix(*at)[0, 0]) == pytest.approx(1 / 3, rel=0.15)
    lifted = run.model.energy(jnp.zeros(1), jnp.zeros(1)) - run.model.energy(
        jnp.asarray([np.pi]), jnp.zeros(1)
    )
    assert float(lifted) == pytest.approx(10, rel=0.15)  # m g l, of a rod of 1 kg and 1 m


def test_the_report_is_what_the_loaded_model_does(
    learned: Path, recordings: TrajectorySet, file: Path
) -> None:
    """The validation errors, computed again by hand."""
    run = load(learned)
    assert isinstance(run, FittedRun)
    assert run.report is not None
    validation = run.report["validation"]
    candidates = []
    for x in recordings:
        assert x.qd is not None
        assert x.qdd is not None
        assert x.tau is not None
        q, qd, qdd, tau = (jnp.asarray(a) for a in (x.q, x.qd, x.qdd, x.tau))
        torque = jax.vmap(run.model.inverse_dynamics)(q, qd, qdd) - tau
        acceleration = jax.vmap(run.model.forward_dynamics)(q, qd, tau) - qdd
        path = run.model.rollout(State(q[0], qd[0]), tau[:-1])
        end = ANGLE.difference(path.q[-1], q[-1])
        candidates.append(
            [
                float(jnp.sqrt(jnp.mean(torque**2))),
                float(jnp.sqrt(jnp.mean(acceleration**2))),
                float(jnp.abs(end[0])),
            ]
        )
    reported = [
        validation["torque"][0],
        validation["acceleration"][0],
        validation["rollout"]["q"][-1][0],
    ]
    off = [np.max(np.abs(np.asarray(c) - reported) / np.asarray(reported)) for c in candidates]
    assert min(off) < 1e-2, "one trajectory is the validation data"
    assert validation["rollout"]["horizon"][-1] == 40
    assert validation["rollout"]["seconds"][-1] == pytest.approx(2.0)


def test_a_chain_that_the_data_are_of_is_one_to_the_model() -> None:
    data = {"file": "arm.npz", "angles": "all", "chain": True}
    assert coordinates_of(fit_config({"data": data}), 2) == Coordinates(
        (True, True), chain=True
    )
    data["angles"] = [1, 2]
    expected = Coordinates((False, True, True), chain=True)
    assert coordinates_of(fit_config({"data": data}), 3) == expected


def test_forces_add_up_and_the_model_transforms(learned: Path) -> None:
    model = load_fit(learned).model
    q, qd, qdd = jnp.asarray([0.3]), jnp.asarray([2.0]), jnp.asarray([-1.0])
    parts = model.forces(q, qd, qdd)
    total = parts.inertial + parts.coriolis + parts.conservative
    np.testing.assert_allclose(total, model.inverse_dynamics(q, qd, qdd), rtol=1e-4, atol=1e-4)
    back = model.forward_dynamics(q, qd, model.inverse_dynamics(q, qd, qdd))
    np.testing.assert_allclose(back, qdd, rtol=1e-3)
    slope = jax.jit(jax.grad(lambda x: model.energy(x, qd)))(q)
    np.testing.assert_allclose(slope, parts.conservative, rtol=1e-3, atol=1e-3)


def test_exported_inverse_dynamics_is_the_model_s(learned: Path) -> None:
    model = load_fit(learned).model
    program = jax.jit(model.export_inverse_dynamics().call)
    at = (jnp.asarray([0.3]), jnp.asarray([2.0]), jnp.asarray([-1.0]))
    np.testing.assert_allclose(program(*at), model.inverse_dynamics(*at), rtol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_fitted_reported_and_loaded(
    name: str, file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    report = fit_model(fit_config(table(file, model={"name": name})), out)
    assert report == json.loads((out / "report.json").read_text())
    assert report["model"] == name
    pictures = {path.stem for path in out.glob("*.png")}
    lagrangian, energetic = name in ("delan", "lnn"), "nn" in name or name == "delan"
    assert pictures == {"learning_curve", "phase", "rollout_error"} | (
        {"torque"} if lagrangian else set()
    ) | ({"energy"} if energetic else set())
    assert (report["validation"]["energy_drift"] is not None) == energetic
    assert (report["validation"]["torque"] is not None) == lagrangian
    run = load_fit(out)
    assert run.report == report
    assert [record["updates"] for record in run.records] == list(range(3, 61, 3))
    state = run.model.step(State(jnp.asarray([0.1]), jnp.asarray([0.2])), jnp.asarray([0.5]))
    assert state.q.shape == state.qd.shape == (1,)
    if not lagrangian:
        with pytest.raises(ValueError, match="has no Lagrangian.*delan and lnn"):
            run.model.mass_matrix(state.q, state.qd)


# The other two are what the tests above choose by themselves.
@pytest.mark.parametrize("loss", ["multi-step", "inverse"])
def test_every_loss_falls(loss: str, file: Path, tmp_path: Path) -> None:
    config = fit_config(table(file, loss={"name": loss}, learner={"updates": 200}))
    fit_model(config, tmp_path / "run")
    records = load_fit(tmp_path / "run").records
    assert records[-1]["loss"] < records[0]["loss"]
    assert all(record["skipped_updates"] == 0 for record in records)


class Interruption(Exception):
    pass


def test_interrupted_a_fit_resumes_to_the_same_end(file: Path, tmp_path: Path) -> None:
    config = fit_config(table(file, model={"dissipation": "both"}))
    whole = fit_model(config, tmp_path / "whole")
    seen: list[dict[str, Any]] = []

    def interrupt(record: dict[str, Any]) -> None:
        seen.append(record)
        if len(seen) == 7:
            raise Interruption

    with pytest.raises(Interruption):
        fit_model(config, tmp_path / "cut", progress=interrupt)
    assert load_fit(tmp_path / "cut").report is None
    assert len(load_fit(tmp_path / "cut").records) == 7
    resumed = resume_fit(tmp_path / "cut")
    assert {**resumed, "seconds": 0} == {**whole, "seconds": 0}
    weights = [
        jax.tree.leaves(eqx.filter(load_fit(tmp_path / name).model, eqx.is_array))
        for name in ("whole", "cut")
    ]
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_data_are_not_gone_on_with(recordings: TrajectorySet, tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    write(path, recordings)

    def interrupt(record: dict[str, Any]) -> None:
        raise Interruption

    with pytest.raises(Interruption):
        fit_model(fit_config(table(path)), tmp_path / "run", progress=interrupt)
    path.unlink()
    write(path, TrajectorySet(list(recordings)[:-1]))
    with pytest.raises(UserError, match="has changed since"):
        resume_fit(tmp_path / "run")


def test_what_was_not_recorded_is_made_up_for(
    recordings: TrajectorySet, tmp_path: Path
) -> None:
    """Positions alone, at unequal steps."""
    uneven = np.delete(np.arange(41), [5, 17, 18])
    path = tmp_path / "positions.csv"
    write(path, TrajectorySet([Trajectory(x.t[uneven], x.q[uneven]) for x in recordings]))
    report = fit_model(fit_config(table(path)), tmp_path / "run")
    assert report["loss"] == "one-step"
    assert report["control"] is None
    assert report["dt"] == pytest.approx(0.05)
    assert any("velocities were estimated" in note for note in report["notes"])
    assert any("interpolated" in note for note in report["notes"])
    assert report["validation"]["torque"] is None


def test_actions_drive_through_a_known_or_a_learned_map(
    recordings: TrajectorySet, tmp_path: Path
) -> None:
    path = tmp_path / "actions.npz"
    actions = [
        Trajectory(x.t, x.q, x.qd, x.qdd, action=np.asarray(x.tau) / 2) for x in recordings
    ]
    write(path, TrajectorySet(actions))
    for force in (None, [[2.0]]):
        out = tmp_path / str(force)
        data = {} if force is None else {"force": force}
        report = fit_model(fit_config(table(path, data=data)), out)
        assert report["control"] == "action"
        actuation = load_fit(out).model.system.actuation
        push = actuation(jnp.zeros(1), jnp.ones(1))
        assert (float(push[0]) == 2.0) == (force is not None)
    with pytest.raises(UserError, match=r"`data.force`.*1 rows of 1 numbers"):
        fit_model(fit_config(table(path, data={"force": [[1.0, 2.0]]})), tmp_path / "no")
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"file": "nowhere.npz"}}, "nowhere.npz"),
        ({"data": {"angles": [1]}}, r"`data.angles` was \[1\]; the data have 1 coord"),
        ({"data": {"control": "action"}}, "`data.control` was 'action'.*pendulum.npz has"),
        ({"model": {"name": "delam"}}, "`model.name` was 'delam'; nearest: delan"),
        ({"model": {"name": "mlp"}, "loss": {"name": "forward"}}, "`loss.name` was 'forward'"),
        (
            {"model": {"name": "neural-ode"}, "loss": {"name": "inverse"}},
            "`loss.name` was 'inverse'.*'neural-ode'",
        ),
        (
            {"model": {"name": "mlp"}, "solver": {"name": "hoin"}},
            "unknown.*hoin|'hoin'",
        ),
        (
            {"model": {"name": "hnn"}, "solver": {"name": "variational_midpoint"}},
            "variational_midpoint needs the Lagrangian",
        ),
        ({"learner": {"updates": 0}}, "`learner.updates` was 0"),
        ({"data": {"validation": 1.0}}, "`data.validation` was 1.0"),
    ],
)
def test_a_mistake_is_one_sentence_and_writes_nothing(
    file: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said) as raised:
        fit_model(fit_config(table(file, **changes)), tmp_path / "run")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_fits_are_compared_by_their_reports(learned: Path, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "mlp"
    fit_model(fit_config(table(file, model={"name": "mlp"})), other)
    rows = compare([learned, other], tmp_path / "table")
    assert rows == json.loads((tmp_path / "table" / "compare.json").read_text())
    assert [row["model"] for row in rows] == ["delan", "mlp"]
    assert rows[0]["rollout_q"] < rows[1]["rollout_q"]
    assert rows[1]["torque"] is rows[1]["energy_drift"] is None
    assert (tmp_path / "table" / "rollout_error.png").stat().st_size > 1000
    with pytest.raises(UserError, match="holds no finished fit"):
        compare([learned, tmp_path])
    with pytest.raises(UserError, match="`runs` was empty"):
        compare([])


def test_energy_and_rollout_errors_are_those_of_mechanics(x64: None) -> None:
    """A free swing from 0.1 rad off upright, judged by the truth and with too much gravity."""
    t = 0.05 * np.arange(60)

    def model(gravity: float, solver: str = "dopri8") -> FittedModel:
        system = MechanicalSystem(Pendulum.rod(gravity=gravity), ANGLE, FixedActuation(((),)))
        return FittedModel(
            SolvedTransition(LagrangianField(system), ANGLE, 0.05, solver=solver)
        )

    start, nothing = State(jnp.asarray([0.1]), jnp.zeros(1)), np.zeros((60, 0))
    path = model(10.0).rollout(start, jnp.zeros((59, 0)))
    q, qd = np.asarray(path.q), np.asarray(path.qd)
    swing = TrajectorySet([Trajectory(t, q, qd)])
    truth = motions(model(10.0), swing, [nothing])
    drift = energy_drift(truth)
    assert drift is not None
    kinetic = qd[:, 0] ** 2 / 6  # of a rod of 1 kg and 1 m
    assert drift["joules"] == pytest.approx(kinetic.max(), rel=1e-9)
    assert max(drift["data"], drift["rollout"]) < 1e-6
    wrong = motions(model(20.0), swing, [nothing])
    drift = energy_drift(wrong)
    assert drift is not None
    # The data keep T + 5 cos(q); what this model sees of them changes by 5 cos(q) more.
    more = 5 * (np.cos(q[:, 0]) - np.cos(0.1))
    assert drift["data"] == pytest.approx(np.sqrt(np.mean(more**2)) / kinetic.max(), rel=1e-4)
    assert drift["rollout"] < 1e-4
    errors = rollout_errors(wrong, ANGLE, 0.05)
    ahead = model(20.0).rollout(start, jnp.zeros((10, 0)))
    at = errors["horizon"].index(10)
    assert errors["seconds"][at] == pytest.approx(0.5)
    assert errors["q"][at][0] == pytest.approx(abs(float(ahead.q[10, 0] - q[10, 0])), rel=1e-9)


def test_lengths_that_differ_share_their_programs(
    recordings: TrajectorySet, learned: Path, compilations: Callable[[], int]
) -> None:
    model = load_fit(learned).model
    pieces = [recordings[0].between(0, rows) for rows in (33, 34, 37, 40)]
    controls = [np.asarray(piece.tau) for piece in pieces]
    alone = motions(model, TrajectorySet(pieces[:1]), controls[:1])
    before = compilations()
    several = motions(model, TrajectorySet(pieces[1:]), controls[1:])
    # Slicing an array to its length is a tiny program of its own; the model's are not.
    assert compilations() - before <= 4 * len(several)
    assert [len(motion.t) for motion in (*alone, *several)] == [33, 34, 37, 40]
    for motion in several:
        np.testing.assert_allclose(motion.predicted.q[:33], alone[0].predicted.q, rtol=1e-5)


@pytest.mark.parametrize(
    ("file_name", "read"),
    [("report.json", load_fit), ("report.json", resume_fit), ("sizes.json", load_fit)],
)
def test_a_damaged_fit_is_refused_in_one_sentence(
    learned: Path, tmp_path: Path, file_name: str, read: Callable[[Path], object]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(learned, run)
    (run / file_name).write_text('{"cut')
    with pytest.raises(UserError, match=f"{file_name}' is not whole") as raised:
        read(run)
    assert "\n" not in str(raised.value)


SYSTEM = """
import jax.numpy as jnp
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem
from lagdyna.systems import Pendulum

lagrangian = Pendulum.rod(mass=1.6)
system = MechanicalSystem(lagrangian, Coordinates((True,)), FixedActuation(((1.0,),)))
two_motors = MechanicalSystem(lagrangian, Coordinates((True,)), FixedActuation(((1.0, 2.0),)))

def follows(state, action, next_state):
    step = system.coordinates.difference(next_state.q, state.q)
    return step / 0.05 - 0.5 * (state.qd + next_state.qd)

def fails(state, action, next_state):
    raise RuntimeError("not today")
"""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("user") / "mine.py"
    path.write_text(SYSTEM)
    return str(path)


SECOND_ORDER = {"name": "levenberg-marquardt", "updates": 15, "batch": None}


@pytest.mark.parametrize("what", ["system", "lagrangian"])
def test_the_parameters_of_a_known_system_are_found(
    file: Path, system: str, tmp_path: Path, what: str
) -> None:
    out = tmp_path / "run"
    model = {"name": "known", "known": f"{system}:{what}", "fixed": ["gravity", "length"]}
    report = fit_model(fit_config(table(file, model=model, learner=SECOND_ORDER)), out)
    found = {each["name"].rpartition(".")[2]: each for each in report["parameters"]}
    # A rod of 1 kg and 1 m turned about its end weighs m l^2 / 3, at l / 2 from it.
    fitted = {name: np.asarray(each["fitted"]) for name, each in found.items()}
    loaded = load_fit(out).model
    inertia = loaded.mass_matrix(jnp.zeros(1), jnp.zeros(1))
    np.testing.assert_allclose(inertia, [[1 / 3]], rtol=1e-4)
    for name in ("gravity", "length"):
        np.testing.assert_array_equal(fitted[name], found[name]["start"])
    assert np.any(fitted["mass"] != np.asarray(found["mass"]["start"]))
    assert report["validation"]["torque"][0] < 1e-3


def test_a_known_system_can_be_passed_as_an_object(file: Path, tmp_path: Path) -> None:
    known = MechanicalSystem(Pendulum.rod(mass=1.6), ANGLE, FixedActuation(((1.0,),)))
    config = fit_config(table(file, model={"name": "known"}, learner=SECOND_ORDER))
    fit_model(config, tmp_path / "run", known=known)
    with pytest.raises(UserError, match="needs `model.known`"):
        load_fit(tmp_path / "run")
    model = load_fit(tmp_path / "run", known=known).model
    inertia = model.mass_matrix(jnp.zeros(1), jnp.zeros(1))
    np.testing.assert_allclose(inertia, [[1 / 3]], rtol=1e-4)


def test_a_residual_learns_what_the_known_system_leaves_out(
    file: Path, system: str, tmp_path: Path
) -> None:
    model = {"name": "residual", "known": f"{system}:system"}
    config = fit_config(table(file, model=model, learner={"updates": 1500}))
    report = fit_model(config, tmp_path / "run")
    guess = Pendulum.rod(mass=1.6)
    run = load_fit(tmp_path / "run").model
    q, qd, tau = jnp.asarray([0.7]), jnp.asarray([0.5]), jnp.asarray([1.0])
    wrong = guess.forward_dynamics(q, qd, tau)
    truth = Pendulum.rod().forward_dynamics(q, qd, tau)
    found = run.forward_dynamics(q, qd, tau)
    assert abs(float((found - truth)[0])) < 0.3 * abs(float((wrong - truth)[0]))
    assert not (tmp_path / "run" / "torque.png").exists()
    assert report["validation"]["torque"] is None


def test_known_equations_bring_a_discrete_network_nearer_to_them(
    file: Path, system: str, tmp_path: Path
) -> None:
    """Of positions that follow from velocities."""

    def violation(name: str, weight: float) -> float:
        model = {"name": "constrained-mlp"}
        loss = {"residual": f"{system}:follows", "residual_weight": weight}
        config = fit_config(table(file, model=model, loss=loss, learner={"updates": 400}))
        fit_model(config, tmp_path / name)
        learned = load_fit(tmp_path / name).model
        rng = np.random.default_rng(0)
        q, qd = (jnp.asarray(x) for x in rng.uniform(-3, 3, (2, 64, 1)))
        after = jax.vmap(learned.step)(State(q, qd), jnp.zeros((64, 1)))
        step = ANGLE.difference(after.q, q) / 0.05
        return float(jnp.sqrt(jnp.mean((step - 0.5 * (qd + after.qd)) ** 2)))

    assert violation("with", 30.0) < 0.8 * violation("without", 0.0)


@pytest.mark.parametrize(
    ("model", "loss", "message"),
    [
        ({"name": "known"}, {}, "'known', which needs `model.known`"),
        ({"name": "known", "known": "mine:system"}, {}, "a Python file and a name in it"),
        ({"name": "known", "known": "{}:nothing"}, {}, "has no 'nothing'"),
        ({"name": "known", "known": "no/file.py:system"}, {}, "there is no file 'no/file.py'"),
        ({"name": "known", "known": "{}:follows"}, {}, "a function; a MechanicalSystem"),
        ({"name": "residual", "known": "{}:two_motors"}, {}, "does not fit the 1 coordinates"),
        (
            {"name": "known", "known": "{}:system", "fixed": ["g"]},
            {},
            "`model.fixed` was .'g'.; accepted: lagrangian.mass",
        ),
        (
            {"name": "known", "known": "{}:system", "fixed": ["mass", "length", "gravity"]},
            {},
            "nothing is left to learn",
        ),
        ({"name": "constrained-mlp"}, {}, "needs `loss.residual`"),
        (
            {"name": "constrained-mlp"},
            {"residual": "{}:fails"},
            "failed on a step of the data: RuntimeError: not today",
        ),
        (
            {"name": "constrained-mlp"},
            {"residual": "{}:follows", "name": "multi-step"},
            "with the model 'constrained-mlp' one-step is accepted",
        ),
    ],
)
def test_what_a_user_s_own_file_lacks_is_said_in_one_sentence(
    file: Path,
    system: str,
    tmp_path: Path,
    model: dict[str, Any],
    loss: dict[str, Any],
    message: str,
) -> None:
    fill = lambda part: {  # noqa: E731
        name: x.format(system) if isinstance(x, str) else x for name, x in part.items()
    }
    config = fit_config(table(file, model=fill(model), loss=fill(loss)))
    with pytest.raises(UserError, match=message) as raised:
        fit_model(config, tmp_path / "run")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_least_squares_is_for_small_networks(file: Path, tmp_path: Path) -> None:
    config = fit_config(table(file, model={"hidden": [999, 999]}, learner=SECOND_ORDER))
    with pytest.raises(UserError, match="levenberg-marquardt holds matrices of them"):
        fit_model(config, tmp_path / "run")
    small = fit_config(table(file, model={"hidden": [12]}, learner=SECOND_ORDER))
    report = fit_model(small, tmp_path / "run")
    assert report["loss_training"] < 0.1
    config = load_fit(tmp_path / "run").config
    assert (config.learner.updates_or_default, config.learner.batch_or_default) == (15, 8192)


@pytest.mark.parametrize("name", ["ekf", "ekf-lowrank", "ukf", "pf"])
def test_a_filter_stands_where_an_optimiser_does(file: Path, tmp_path: Path, name: str) -> None:
    few = {"members": 8, "particles": 8}
    learner = {"name": name, "updates": 20, "batch": 4, "filter": few}
    report = fit_model(
        fit_config(table(file, model={"hidden": [4]}, learner=learner)), tmp_path / "run"
    )
    assert np.isfinite(report["loss_training"])
    found = load_fit(tmp_path / "run")
    assert found.report == report
    assert all(np.isfinite(record["log_evidence"]) for record in found.records)
    # The posterior is that of the model, with the temperature that was reported.
    assert found.posterior is not None
    q = qd = tau = jnp.asarray([0.3])

    def acceleration(model: FittedModel) -> Array:
        return model.forward_dynamics(q, qd, tau)

    prediction = found.posterior.predict(acceleration)
    calibration = report["calibration"]
    assert float(found.posterior.temperature) == pytest.approx(calibration["temperature"])
    assert float(prediction.covariance[0, 0]) > 0
    if name.startswith("ekf"):
        np.testing.assert_array_equal(prediction.mean, acceleration(found.model))


def test_the_posterior_s_intervals_cover_what_they_say(
    recordings: TrajectorySet, tmp_path: Path
) -> None:
    """Of noisy accelerations, on trajectories that were not learned from."""
    path = tmp_path / "noisy.npz"
    rng = np.random.default_rng(0)
    noisy = [
        Trajectory(
            **{**each.arrays, "qdd": each.arrays["qdd"] + 0.5 * rng.normal(size=(each.rows, 1))}
        )
        for each in recordings
    ]
    write(path, TrajectorySet(noisy))
    learner = {"name": "ekf", "updates": 300, "batch": 16}
    report = fit_model(fit_config(table(path, learner=learner)), tmp_path / "run")
    found = report["calibration"]
    assert found["levels"] == [0.5, 0.9, 0.99]
    np.testing.assert_allclose(found["coverage"], found["levels"], atol=0.05)
    # The noise that was found is the noise that was added.
    size = np.sqrt(np.mean([np.mean(each.arrays["qdd"] ** 2) for each in noisy]))
    np.testing.assert_allclose(np.sqrt(found["noise"]) * size, [0.5], rtol=0.15)


def test_auto_is_the_full_filter_of_few_weights_and_blocks_of_many(
    file: Path, tmp_path: Path
) -> None:
    def config(hidden: int) -> FitConfig:
        learner = {"name": "auto", "updates": 1, "batch": 4}
        return fit_config(table(file, model={"hidden": [hidden] * 2}, learner=learner))

    fit_model(config(4), tmp_path / "few")
    assert load_fit(tmp_path / "few").config.learner.name == "ekf"
    sizes = Sizes(1, 1, "tau", 0.05, (1.0,), (1.0,), (1.0,))
    many = _chosen(config(70), sizes, None).learner
    assert (many.name, many.filter.blocks) == ("ekf-block", "layer")
