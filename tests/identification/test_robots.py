"""Robots: identification by the regressor, joints by name, and what is refused."""

import dataclasses
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import FitConfig, UserError
from lagdyna.config import ROBOT_FILE, described_robot, with_equations
from lagdyna.data import Trajectory, TrajectorySet, write
from lagdyna.identification import fit_problem, starting_state
from lagdyna.identification._choices import held_out_error
from lagdyna.identification._robot_report import robot_report
from lagdyna.learners import Accelerations, SignalModel
from lagdyna.mechanics import (
    Coordinates,
    CoulombDissipation,
    FixedActuation,
    MechanicalSystem,
    Signals,
    State,
    StribeckDissipation,
    SumDissipation,
    Units,
    ViscousDissipation,
)
from lagdyna.parts import RobotConfig, RobotResidualConfig
from lagdyna.regressor import (
    identified_start,
    identify,
    identify_weighted,
    is_linear,
    parameters_of,
    reduce,
    reduce_joints,
    together,
)
from lagdyna.regressor._links import linear_parameters, pseudo_inertia
from lagdyna.systems import KinematicTree, LinkPotential, RobotModel
from lagdyna.tasks import Plant

ACROSS = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
UPRIGHT = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

URDF = """
<robot name="small">
  <link name="base"/>
  <link name="one"><inertial><origin xyz="0.1 0 0"/><mass value="2"/>
    <inertia ixx="0.01" iyy="0.03" izz="0.03" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <link name="two"><inertial><origin xyz="0.1 0.02 0"/><mass value="1"/>
    <inertia ixx="0.01" iyy="0.02" izz="0.02" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <joint name="shoulder" type="revolute"><parent link="base"/><child link="one"/>
    <axis xyz="0 1 0"/><limit lower="-2" upper="2" velocity="3" effort="50"/></joint>
  <joint name="elbow" type="revolute"><parent link="one"/><child link="two"/>
    <origin xyz="0.3 0 0"/><axis xyz="0 1 0"/>
    <limit lower="-2" upper="2" velocity="3" effort="50"/></joint>
</robot>
"""


def arm(mass: float) -> RobotModel:
    """A turntable and two links, of which one slides along the other."""
    tree = KinematicTree(
        (-1, 0, 1),
        (False, False, True),
        (UPRIGHT, ACROSS, ACROSS),
        ((0.0, 0.0, 0.3), (0.1, 0.0, 0.0), (0.2, 0.0, 0.0)),
    )
    rng = np.random.default_rng(0)
    parameters = 0.05 * rng.normal(size=(3, 10))
    parameters[:, 0] = 0.5 * np.log(mass)
    parameters[:, 1:4] -= 2.0
    gravity = jnp.asarray([0.0, 0.0, -9.81])
    return RobotModel(tree, jnp.asarray(parameters, float), gravity, jnp.full(3, 0.02))


def system(robot: RobotModel, *friction: float) -> MechanicalSystem:
    viscous, coulomb = friction
    parts = (
        ViscousDissipation(jnp.full(3, viscous)),
        CoulombDissipation(jnp.full(3, coulomb), 0.05),
    )
    identity = tuple(tuple(float(i == j) for j in range(3)) for i in range(3))
    return MechanicalSystem(
        robot, robot.coordinates, FixedActuation(identity), SumDissipation(parts)
    )


def motion(seed: int, size: int = 150) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    q, qd, qdd = rng.normal(size=(3, size, 3)) * np.array([1.0, 1.0, 0.3])
    return jnp.asarray(q), jnp.asarray(qd), jnp.asarray(qdd)


def rows(
    truth: MechanicalSystem, seed: int, offset: float = 0.0, size: int = 150
) -> Accelerations:
    q, qd, qdd = motion(seed, size)
    tau = jax.jit(jax.vmap(truth.inverse_dynamics))(q, qd, qdd) - offset
    return Accelerations(State(q, qd), tau, qdd)


def test_the_regressor_finds_forces_friction_and_offset():
    truth = system(arm(3.0), 0.4, 0.7)
    training, unseen = rows(truth, 0, 0.5), rows(truth, 1, 0.5)
    start, scale = system(arm(1.0), 0.01, 0.01), jnp.std(training.action, axis=0)
    reduced = reduce(start, training, scale, offset=True)
    assert reduced.force_error < 1e-10
    found, offset = identify(start, reduced, prior=1.0, offset=np.zeros(3))

    force = jax.jit(jax.vmap(found.inverse_dynamics))(
        unseen.state.q, unseen.state.qd, unseen.qdd
    )
    errors = (force - np.asarray(offset) - unseen.action) / scale
    assert np.max(np.abs(errors)) < 2e-3
    assert np.allclose(np.asarray(offset), 0.5, atol=2e-3)
    viscous, coulomb = found.dissipation.parts  # pyright: ignore
    assert np.allclose(viscous.coefficients, 0.4, atol=5e-3)
    assert np.allclose(coulomb.coefficients, 0.7, atol=5e-3)

    # The turntable turns about a vertical axis, so its own mass has no effect.
    report = robot_report(
        start, SignalModel(found, Signals(0.01, offset=tuple(offset))), training, scale
    )
    assert report is not None
    first, second = (
        {each["name"]: each["interval"] for each in report["links"][i]["numbers"]}
        for i in (0, 2)
    )
    assert first["mass"] is None
    assert second["mass"] is not None
    low, high = second["mass"]
    true = linear_parameters(np.asarray(truth.lagrangian.inertia))  # pyright: ignore
    assert low - 1e-2 < true[2, 0] < high + 1e-2
    assert report["base_parameters"] < report["parameters"]


def test_stretches_join_to_the_whole_and_tell_how_far_to_trust_the_description():
    truth, wrong = system(arm(3.0), 0.4, 0.7), system(arm(1.0), 0.4, 0.7)
    training = rows(truth, 0)
    scale = np.std(np.asarray(training.action), axis=0)
    noise = 0.3 * scale * np.random.default_rng(5).normal(size=training.action.shape)
    noisy = dataclasses.replace(training, action=training.action + noise)
    parts = reduce_joints(truth, noisy, offset=False, stretches=4)
    (whole,) = reduce_joints(truth, noisy, offset=False)
    parameters = parameters_of(wrong, None)
    assert np.allclose(together(parts).errors(parameters), whole.errors(parameters))
    assert sum(each.rows for each in parts) == len(noisy.action)

    def held_out(start: MechanicalSystem, prior: float) -> float:
        parts = reduce_joints(start, noisy, offset=False, stretches=4)
        return held_out_error(start, parts, scale, prior)

    assert held_out(truth, 0.01) < held_out(truth, 1.0)
    assert held_out(wrong, 1.0) < held_out(wrong, 0.01)


def test_a_cable_is_found_together_with_the_robot():
    truth, start = system(arm(3.0), 0.4, 0.7), system(arm(1.0), 0.01, 0.01)
    unknown = LinkPotential(arm(1.0).tree)
    start = eqx.tree_at(
        lambda x: x.lagrangian.extra, start, unknown, is_leaf=lambda x: x is None
    )

    def pulled(rows: Accelerations) -> Accelerations:
        def stretched(q: Any) -> Any:
            _, positions = truth.lagrangian.link_poses(q)  # pyright: ignore
            return 30.0 * jnp.sum((positions[2] - jnp.asarray([0.2, 0.1, 0.5])) ** 2)

        force = jax.jit(jax.vmap(jax.grad(stretched)))(rows.state.q)
        return dataclasses.replace(rows, action=rows.action + force)

    training, unseen = pulled(rows(truth, 0, size=600)), pulled(rows(truth, 1))
    scale = np.std(np.asarray(training.action), axis=0)
    (factors,) = reduce_joints(start, training, offset=False)
    found, _ = identify_weighted(start, factors, scale, prior=1.0, extra=100.0)
    errors = factors.errors(parameters_of(found, None)) / scale
    force = jax.jit(jax.vmap(found.inverse_dynamics))(
        unseen.state.q, unseen.state.qd, unseen.qdd
    )
    left = np.std(np.asarray(force - unseen.action), axis=0) / scale
    (bare,) = reduce_joints(system(arm(1.0), 0.01, 0.01), training, offset=False)
    rigid, _ = identify_weighted(system(arm(1.0), 0.01, 0.01), bare, scale, prior=1.0)
    assert np.all(errors < 0.2 * bare.errors(parameters_of(rigid, None)) / scale)
    assert np.all(errors < 0.03)
    assert np.all(left < 0.06)

    @eqx.filter_jit
    def masses() -> list[jax.Array]:
        rest, q = jnp.zeros(3), jnp.ones(3)
        return [each.lagrangian.mass_matrix(q, rest) for each in (found, truth)]

    mass, true = (np.asarray(each) for each in masses())
    assert np.allclose(mass, true, atol=0.05 * np.max(np.abs(true)))

    # The energy belongs to the Lagrangian, and forward dynamics undo inverse dynamics.
    @jax.jit
    def dynamics(q: Any, qd: Any, qdd: Any) -> tuple[Any, ...]:
        robot, rest = found.lagrangian, jnp.zeros(3)
        tau = found.inverse_dynamics(q, qd, qdd)
        slope = jax.grad(lambda q: robot.energy(q, rest))(q)
        held = robot.inverse_dynamics(q, rest, rest)
        return found.forward_dynamics(q, qd, tau), slope, held

    q, qd, qdd = (np.asarray(x)[0] for x in motion(2, size=1))
    again, slope, held = dynamics(q, qd, qdd)
    assert np.allclose(again, qdd, rtol=1e-3, atol=1e-3)
    assert np.allclose(slope, held, rtol=1e-3, atol=1e-3 * np.max(np.abs(held)))


def test_fixed_parts_of_a_robot_keep_their_values():
    truth, start = system(arm(3.0), 0.4, 0.7), system(arm(1.0), 0.01, 0.01)
    training = rows(truth, 0)
    reduced = reduce(start, training, jnp.std(training.action, axis=0))
    fixed = ("inertia", "dissipation")
    found, offset = identify(start, reduced, prior=1.0, fixed=fixed)
    assert offset is None
    assert np.array_equal(found.lagrangian.inertia, start.lagrangian.inertia)  # pyright: ignore
    old, new = (x.dissipation.parts[0].coefficients for x in (start, found))  # pyright: ignore
    assert np.allclose(old, new, rtol=1e-5)
    assert not np.allclose(found.lagrangian.armature, 0.02)  # pyright: ignore


def test_derivatives_of_log_cholesky_parameters():
    point = np.random.default_rng(0).normal(size=(2, 10)) * 0.3
    _, slopes = pseudo_inertia(point)
    for i in range(10):
        step = 1e-6 * np.eye(10)[i]
        difference = (pseudo_inertia(point + step)[0] - pseudo_inertia(point - step)[0]) / 2e-6
        assert np.allclose(difference, slopes[:, i], atol=1e-8)
    bodies = arm(2.0).bodies
    found = linear_parameters(np.asarray(arm(2.0).inertia))
    assert np.allclose(found[:, 0], bodies.mass, rtol=1e-5)
    assert np.allclose(found[:, 1:4], bodies.moment, atol=1e-5)
    assert np.allclose(found[:, 4:7], bodies.inertia[:, [0, 1, 2], [0, 1, 2]], rtol=1e-4)


def test_only_linear_friction_needs_no_update():
    plain = system(arm(1.0), 0.1, 0.1)
    assert is_linear(plain)
    assert is_linear(SignalModel(plain, Signals(0.01, offset=(0.0, 0.0, 0.0))))
    assert not is_linear(SignalModel(plain, Signals(0.01, delay=0.0)))
    stribeck = StribeckDissipation(jnp.ones(3), jnp.ones(3))
    assert not is_linear(eqx.tree_at(lambda x: x.dissipation, plain, stribeck))


def test_data_without_accelerations_leave_a_robot_as_it_is():
    plain = system(arm(1.0), 0.1, 0.1)
    assert identified_start(None, plain, jnp.ones(3), prior=1.0, fixed=()) is plain


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Motions of the arm of the URDF, its joints in another order than in the file."""
    pytest.importorskip("mujoco")
    (tmp_path / "arm.urdf").write_text(URDF)
    robot = RobotModel.from_urdf(URDF)
    rng, t = np.random.default_rng(0), 0.02 * np.arange(120)
    force = jax.jit(jax.vmap(robot.inverse_dynamics))
    found = []
    for _ in range(2):
        rate, phase = rng.uniform(1, 5, (2, 1)), rng.uniform(0, 6, (2, 1))
        q, qd, qdd = (
            x.T
            for x in (
                np.sin(rate * t + phase),
                rate * np.cos(rate * t + phase),
                -(rate**2) * np.sin(rate * t + phase),
            )
        )
        tau = np.asarray(force(q, qd, qdd)) + 0.3 * qd
        each = Trajectory(t, q, qd, qdd, tau, joints=("shoulder", "elbow"))
        found.append(each.of_joints(("elbow", "shoulder")))
    write(tmp_path / "log.npz", TrajectorySet(found))
    return tmp_path / "log.npz"


def config(path: Path, **options: Any) -> FitConfig:
    model = RobotConfig(robot=str(path.parent / "arm.urdf"), **options)
    return FitConfig(data=str(path), model=model)


def test_joints_are_matched_by_name_and_the_fit_starts_at_its_end(recording: Path):
    given = config(recording, armature=0.0, dissipation="viscous")
    problem = fit_problem(given)
    assert problem.data.joints == ("shoulder", "elbow")
    assert problem.config.loss.name == "inverse"
    assert problem.config.data.angles == (0, 1)
    assert problem.config.model.prior in (0.01, 0.03, 0.1, 0.3, 1.0)  # pyright: ignore
    state = starting_state(problem)
    assert bool(state.solved)
    system = state.transition.field.system  # pyright: ignore
    assert float(eqx.filter_jit(problem.loss)(system, problem.training)) < 1e-6
    coefficients = system.dissipation.dissipation.coefficients
    assert np.allclose(coefficients / coefficients[0], 1.0, rtol=1e-2)

    for options in ({"form": "potential"}, {"form": "energy", "hidden": (4,)}):
        form = options["form"]
        model = RobotResidualConfig(
            robot=given.model.robot,  # pyright: ignore
            dissipation="viscous",
            armature=0.0,
            prior=problem.config.model.prior,  # pyright: ignore
            **options,
        )
        problem = fit_problem(FitConfig(data=str(recording), model=model))
        part = starting_state(problem).transition.field.system  # pyright: ignore
        loss = eqx.filter_jit(problem.loss)(part, problem.training)
        assert float(loss) < (0.05 if form == "energy" else 1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hidden": (4,)}, "`hidden` was .*no network"),
        ({"activation": "tanh"}, "`activation` was 'tanh'.*`position`, `force` or `energy`"),
        ({"form": "force", "residual_size": 0.1}, "`residual_size` was 0.1.*`potential`"),
    ],
)
def test_options_of_another_residual_are_refused(options: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        RobotResidualConfig(**options)
    RobotResidualConfig(**{"form": "energy", **options, "residual_size": None})


def test_a_run_keeps_its_robot(recording: Path):
    robot = described_robot(config(recording).model)
    again = type(robot).of_json(robot.to_json())
    assert again == robot
    assert ROBOT_FILE == "robot.json"
    with pytest.raises(ValueError, match="no robot description"):
        type(robot).of_json("{}")


def test_what_does_not_fit_a_robot_is_said(recording: Path):
    with pytest.raises(UserError, match=r"needs `model.robot`"):
        fit_problem(FitConfig(data=str(recording), model="robot"))
    with pytest.raises(UserError, match="cannot read the robot description"):
        fit_problem(FitConfig(data=str(recording), model=RobotConfig(robot="no.urdf")))
    text = URDF.replace("elbow", "elbo")
    (recording.parent / "arm.urdf").write_text(text)
    with pytest.raises(UserError, match=r"joint 'elbow', which small lacks; nearest are elbo"):
        fit_problem(config(recording))
    (recording.parent / "arm.urdf").write_text(URDF)
    plain = np.load(recording)
    names = {name: plain[name] for name in plain.files if name != "joints"}
    some = {name: x[:, :1] if x.ndim == 2 else x for name, x in names.items()}
    np.savez(recording.parent / "one.npz", **some)
    with pytest.raises(UserError, match="has 1 coordinates, and small has 2 joints"):
        fit_problem(config(recording.parent / "one.npz"))
    strange = {**names, "q": names["q"] + 8.0, "tau": names["tau"] * 1000}
    np.savez(recording.parent / "strange.npz", **strange)
    # Without a choice by the data, which takes longest.
    chosen = config(recording.parent / "strange.npz", prior=1.0, friction_speed=0.1)
    notes = " ".join(fit_problem(chosen).data.notes)
    assert "joint shoulder was recorded from" in notes
    assert "motor currents" in notes


def test_friction_starts_at_the_description(tmp_path: Path):
    pytest.importorskip("mujoco")
    axis, dynamics = '<axis xyz="0 1 0"/>', '<dynamics damping="0.7" friction="0.4"/>'
    (tmp_path / "arm.urdf").write_text(URDF.replace(axis, axis + dynamics, 1))
    (tmp_path / "plain.urdf").write_text(URDF)
    units = Units(0.5, 3.0, (1.0, 1.0), (0.0, 0.0), (1.0, 1.0))
    plant = Plant(
        name="arm",
        coordinates=Coordinates((True, True)),
        context_size=0,
        action_size=2,
        dt=0.01,
        substeps=1,
        actuation=FixedActuation(((1.0, 0.0), (0.0, 1.0))),
        velocity_scale=(1.0, 1.0),
        acceleration_scale=(1.0, 1.0),
        step_scale=None,
        velocity_limits=None,
        range=None,
        dissipation="none",
        units=units,
    )
    rest, speed = jnp.zeros(2), jnp.asarray([2.0, 2.0])

    def force(file: str, **options: Any) -> Any:
        robot = str(tmp_path / file)
        model = RobotConfig(robot=robot, friction_speed=0.1, **options)
        known = with_equations(plant, model).known
        assert known is not None
        return known.dissipation(rest, speed)

    for kind, coulomb in (("viscous", 0.0), ("both", 0.4), ("curve", 0.4), ("stribeck", 0.4)):
        started, usual = (
            force("arm.urdf", dissipation=kind),
            force("plain.urdf", dissipation=kind),
        )
        assert np.allclose(started[0], -0.7 * 2.0 - coulomb, rtol=1e-4)
        # The description gives none for the elbow.
        assert np.allclose(started[1], usual[1])
        assert usual[0] > -0.5
    assert not force("arm.urdf", dissipation="none").any()
