"""Run directories of fits: written, loaded, continued, compared and refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from lagdyna import FitConfig, State, UserError
from lagdyna.config import fit_config
from lagdyna.data import TrajectorySet, write
from lagdyna.identification import PreparedData, prepare
from lagdyna.options import read_table
from lagdyna.parts import AdamConfig, DeLaNConfig, MLPConfig
from lagdyna.progress import Silence
from lagdyna.results import kind_of
from lagdyna.runs import FittedRun, compare_fits, fit_model, load, load_fit, resume, resume_fit
from lagdyna.runs._config_of import Objects
from lagdyna.runs._fit import _config, fit_directory
from lagdyna.simulate import LearnedModel

from .small import ANGLE, SHORT, SMALL, fit_without_report, small

pytestmark = pytest.mark.usefixtures("no_pictures")

MLP = MLPConfig(hidden=(8,))  # its programs are the shortest


class Interruption(Exception):
    pass


class InterruptAfter(Silence):
    """Progress receiver that interrupts a fit after some records."""

    def __init__(self, count: int):
        self.left = count

    def record(self, record: dict[str, Any]) -> None:
        self.left -= 1
        if not self.left:
            raise Interruption


class UserModel(DeLaNConfig, frozen=True, kw_only=True):
    """Model of a user, in Python."""

    factor: float = 2.0


class UserLearner(AdamConfig, frozen=True, kw_only=True):
    """Learner of a user that keeps its batch, in Python."""

    same_batch: ClassVar[bool] = True

    def build(self, loss: Any, budget: Any) -> Any:
        import optax

        from lagdyna.learners import GradientLearner

        return GradientLearner(optax.sgd(self.rate), loss)


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


def test_the_report_has_the_errors_of_the_loaded_model(
    learned: Path, recordings: TrajectorySet
) -> None:
    """The validation errors, computed again by hand."""
    run = load(learned)
    assert isinstance(run, FittedRun)
    assert run.report is not None
    validation = run.report["validation"]

    @eqx.filter_jit
    def errors(
        model: LearnedModel, q: Array, qd: Array, qdd: Array, tau: Array
    ) -> tuple[Array, Array, Array]:
        torque = jax.vmap(model.inverse_dynamics)(q, qd, qdd) - tau
        acceleration = jax.vmap(model.forward_dynamics)(q, qd, tau) - qdd
        path = model.rollout(State(q[0], qd[0]), tau[:-1])
        end = ANGLE.difference(path.q[-1], q[-1])
        torque, acceleration = (jnp.sqrt(jnp.mean(x**2)) for x in (torque, acceleration))
        return torque, acceleration, jnp.abs(end[0])

    candidates = [
        [float(error) for error in errors(run.model, *map(jnp.asarray, arrays))]
        for arrays in ((x.q, x.qd, x.qdd, x.tau) for x in recordings)
    ]
    reported = [
        validation["torque"][0],
        validation["acceleration"][0],
        validation["rollout"]["q"][-1][0],
    ]
    off = [np.max(np.abs(np.asarray(c) - reported) / np.asarray(reported)) for c in candidates]
    assert min(off) < 1e-2, "one trajectory is the validation data"
    assert validation["rollout"]["horizon"][-1] == 40
    assert validation["rollout"]["seconds"][-1] == pytest.approx(2.0)


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


def test_exported_inverse_dynamics_are_those_of_the_model(learned: Path) -> None:
    model = load_fit(learned).model
    program = jax.jit(model.export_inverse_dynamics().call)
    at = (jnp.asarray([0.3]), jnp.asarray([2.0]), jnp.asarray([-1.0]))
    np.testing.assert_allclose(program(*at), model.inverse_dynamics(*at), rtol=1e-5)


def test_the_run_directory_has_the_resolved_config(learned: Path) -> None:
    assert kind_of(learned) == "fit"
    table = read_table(learned / "config.toml")
    assert table["loss"] == {"name": "forward"}
    assert table["solver"] == {"name": "heun", "substeps": 1}
    assert table["learner"]["weight_decay"] == 0
    assert table["model"]["dissipation"] == "none"
    assert fit_config(table) == load_fit(learned).config


def test_an_interrupted_fit_resumes_to_the_same_end(file: Path, tmp_path: Path) -> None:
    config = small(
        file,
        model=MLP,
        learner=AdamConfig(updates=60, batch=16, weight_decay=0.1),
    )
    whole = fit_model(config, tmp_path / "whole")
    with pytest.raises(Interruption):
        fit_model(config, tmp_path / "cut", progress=InterruptAfter(7))
    assert load_fit(tmp_path / "cut").report is None
    assert len(load_fit(tmp_path / "cut").records) == 7
    resumed = resume_fit(tmp_path / "cut")
    differ = {"seconds": 0, "seal": None}
    assert {**resumed, **differ} == {**whole, **differ}
    assert resume_fit(tmp_path / "cut") == resumed
    assert resume_fit(tmp_path / "cut", updates=60) == resumed
    found = [load_fit(tmp_path / name) for name in ("whole", "cut")]
    weights = [jax.tree.leaves(eqx.filter(run.model, eqx.is_array)) for run in found]
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert [record["updates"] for record in found[1].records] == list(range(3, 61, 3))


def test_a_fit_does_not_resume_with_other_recordings(
    recordings: TrajectorySet, tmp_path: Path
) -> None:
    path = tmp_path / "data.npz"
    write(path, recordings)
    with pytest.raises(Interruption):
        fit_model(small(path, model=MLP), tmp_path / "run", progress=InterruptAfter(1))
    path.unlink()
    write(path, TrajectorySet(list(recordings)[:-1]))
    with pytest.raises(UserError, match="has changed since"):
        resume_fit(tmp_path / "run")


def test_all_pieces_of_a_fit_are_one_program(
    file: Path, tmp_path: Path, compiled: Callable[[], list[str]]
) -> None:
    # The last of twelve pieces has one update, the others two.
    model = DeLaNConfig(hidden=(4,), dissipation="both")
    config = small(file, model=model, learner=AdamConfig(updates=23, batch=8))
    fit_without_report(config, tmp_path / "run")
    names = compiled()
    assert (names.count("jit(_piece)"), names.count("jit(_loss_of)")) == (1, 1)
    records = load_fit(tmp_path / "run").records
    assert [record["piece"] for record in records] == [2] * 11 + [1]
    assert records[-1]["updates"] == 23


def test_a_fit_that_was_moved_together_with_its_data_resumes(
    recordings: TrajectorySet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    write(project / "data.npz", recordings)
    monkeypatch.chdir(project)
    with pytest.raises(Interruption):
        config = small(Path("data.npz"), model=MLP)
        fit_model(config, "runs/one", progress=InterruptAfter(1))
    monkeypatch.chdir(tmp_path)
    moved = project.rename(tmp_path / "moved")
    run = moved / "runs" / "one"
    assert resume_fit(run)["updates"] == 4
    # More updates: the model goes on from where it was.
    before = load_fit(run)
    with pytest.raises(UserError, match=r"`updates` was 3, and .* has made 4 updates already"):
        resume_fit(run, updates=3)
    with pytest.raises(UserError, match=r"`steps` was given, .* holds a fit"):
        resume(run, steps=3)
    assert resume(run, updates=6)["updates"] == 6
    after = load_fit(run)
    assert after.config.learner.updates == 6
    assert after.records[:4] == before.records
    assert after.records[-1]["updates"] == 6


def test_objects_of_python_are_given_again(file: Path, tmp_path: Path) -> None:
    """Options of a class come from the config, and an object has its own."""
    parts: dict[str, Any] = {
        "model": UserModel(hidden=(8,), factor=3.0),
        "learner": UserLearner(updates=4, batch=16, rate=1e-3),
    }
    with pytest.raises(Interruption):
        fit_model(small(file), tmp_path / "run", **parts, progress=InterruptAfter(2))
    with pytest.raises(UserError, match=r"test_fit_model:UserModel'.*give the object again"):
        load_fit(tmp_path / "run")
    with pytest.raises(UserError, match=r"test_fit_model:UserLearner'.*give the object again"):
        resume_fit(tmp_path / "run", model=UserModel)
    other = UserLearner(updates=4, batch=16, rate=2e-3)
    with pytest.raises(UserError, match=r"`learner.rate` was 0.001 and is 0.002"):
        resume_fit(tmp_path / "run", model=UserModel, learner=other)
    report = resume_fit(tmp_path / "run", model=UserModel, learner=UserLearner)
    assert report["model"].endswith("test_fit_model:UserModel")
    config = load_fit(tmp_path / "run", **parts).config
    assert isinstance(config.model, UserModel)
    # The mass of the recorded pendulum, from its forces.
    assert config.model.initial_mass == pytest.approx(1 / 3, rel=1e-3)
    expected = UserModel(
        hidden=(8,),
        factor=3.0,
        structure="network",
        dissipation="none",
        initial_mass=config.model.initial_mass,
    )
    assert (config.model, config.learner.batch) == (expected, 16)
    assert fit_directory(config).name == "pendulum-UserModel-1"


def test_a_file_name_is_a_config(file: Path) -> None:
    assert _config(file, Objects()) == _config(str(file), Objects()) == FitConfig(data=file)
    assert _config(file, Objects(model=MLPConfig)).model == MLPConfig()
    with pytest.raises(UserError, match="`config` was of type int; a FitConfig or"):
        _config(3, Objects())
    with pytest.raises(UserError, match="`learner.rate` was -1.0"):
        _config(small(file, learner=AdamConfig(rate=-1.0)), Objects())


def test_fits_are_compared_by_their_reports(learned: Path, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "mlp"
    fit_model(small(file, model=MLP), other)
    rows = compare_fits([learned, other], tmp_path / "table")
    assert rows == json.loads((tmp_path / "table" / "compare.json").read_text())
    assert [row["model"] for row in rows] == ["delan", "mlp"]
    assert rows[0]["rollout_q"] < rows[1]["rollout_q"]
    assert rows[1]["torque"] is rows[1]["energy_drift"] is rows[1]["relative"]["torque"] is None
    found = json.loads((learned / "report.json").read_text())["validation"]["relative"]
    assert rows[0]["relative"]["one_step_qd"] == pytest.approx(
        np.sqrt(np.mean(np.square(found["one_step_qd"])))
    )
    assert (tmp_path / "table" / "rollout_error.png").stat().st_size > 1000
    with pytest.raises(UserError, match="holds no finished fit"):
        compare_fits([learned, tmp_path])
    with pytest.raises(UserError, match="`runs` was empty"):
        compare_fits([])


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


def test_a_directory_without_a_fit_is_refused(tmp_path: Path) -> None:
    for read in (load_fit, resume_fit):
        with pytest.raises(UserError, match="holds no run; a directory that `lagdyna fit`"):
            read(tmp_path)


def test_the_data_of_a_config_are_prepared(file: Path) -> None:
    data = prepare(small(file, model=SMALL, learner=SHORT))
    assert isinstance(data, PreparedData)
    assert (data.control, data.action_size, data.coordinates) == ("tau", 1, ANGLE)
    assert data.raw is data.steps
    assert data.notes == []
