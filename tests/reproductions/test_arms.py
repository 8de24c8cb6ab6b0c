"""The experiment on a small arm, which needs no robot description of others."""

import importlib.metadata
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from lagdyna import UserError
from lagdyna.data import Trajectory, TrajectorySet
from lagdyna.reproductions import REPRODUCTIONS, Result, Results
from lagdyna.reproductions.arms import make_arm_part
from lagdyna.reproductions.arms._fits import config, keep_recordings, solve
from lagdyna.reproductions.arms._models import AbstractArmModel
from lagdyna.reproductions.arms._motions import Variant, in_double, motion, simulated
from lagdyna.reproductions.arms._recordings import pendulum_motions, ur10_rows
from lagdyna.reproductions.arms._reproduction import Sizes
from lagdyna.reproductions.arms._robots import Arm, recording
from lagdyna.reproductions.arms._scores import (
    relative_errors,
    rollouts,
    torque_errors,
    windows,
)
from lagdyna.reproductions.arms._sysid import simulation, why_missing

JOINTS = ("base", "shoulder", "elbow")
LINKS = (
    ("0 0 0.3", "0 0 1", 4.0, "0.03 0.02 0.05", "0.06 0.05 0.03"),
    ("0.05 0 0.2", "0 1 0", 2.5, "0.2 -0.03 0.02", "0.01 0.04 0.045"),
    ("0.4 0 0", "0 1 0", 1.0, "0.1 0.05 0.03", "0.004 0.006 0.005"),
)
SIZES = Sizes(2, 1, 3.0, {"mlp": 40})


def small_arm(folder: Path) -> Arm:
    """Write the description of an arm of three joints."""
    text, parent = "<robot name='small'><link name='world'/>", "world"
    for name, (place, axis, mass, centre, moments) in zip(JOINTS, LINKS, strict=True):
        x, y, z = moments.split()
        text += (
            f"<link name='{name}_link'><inertial><origin xyz='{centre}'/>"
            f"<mass value='{mass}'/><inertia ixx='{x}' iyy='{y}' izz='{z}' ixy='0' ixz='0' "
            f"iyz='0'/></inertial></link><joint name='{name}' type='revolute'>"
            f"<parent link='{parent}'/><child link='{name}_link'/><origin xyz='{place}'/>"
            f"<axis xyz='{axis}'/><limit lower='-2' upper='1.5' effort='9' velocity='9'/>"
            "</joint>"
        )
        parent = f"{name}_link"
    path = folder / "small.urdf"
    path.write_text(f"{text}</robot>")
    return Arm(str(path), JOINTS)


def part(folder: Path, variant: Variant, model: str) -> Result:
    pytest.importorskip("mujoco")
    arm, out = small_arm(folder), folder / f"{variant}-{model}"
    return make_arm_part(arm, variant, model, 0, SIZES, out, lambda _: None)


def test_motions_are_smooth_and_within_limits(tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    robot = small_arm(tmp_path).robot()
    q, qd, qdd = motion(robot, np.random.default_rng(0), 20.0)
    assert q.shape == (2000, 3)
    assert q.min() >= -2
    assert q.max() <= 1.5
    assert np.ptp(q, axis=0).min() > 1.5
    for x, slope in ((q, qd), (qd, qdd)):
        found = np.gradient(x, 0.01, axis=0)[1:-1]
        np.testing.assert_allclose(found, slope[1:-1], atol=2e-3 * np.abs(slope).max())


@pytest.mark.slow  # as `identification/test_robots.py`, on whole trajectories
def test_least_squares_is_exact_on_exact_data(tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    arm = small_arm(tmp_path)
    motions = simulated(arm.robot(), "exact", 0, (2, 1), 3.0, JOINTS)
    file = keep_recordings(tmp_path, motions.training)
    fitted, _ = solve(config("least-squares", file, None, seed=0, arm=arm))
    assert torque_errors(fitted, motions.unseen)["torque_nmse"].max() < 1e-9


def test_a_part_is_made_and_reported(tmp_path: Path) -> None:
    made = part(tmp_path, "exact", "mlp")
    assert made["torque_nmse"].shape == (3,)
    moved = {"rollout": np.array([0.1, 0.2, 0.3]), "rollout_median": np.array([0, 0, 0.25])}
    other = {**made, **moved, "acceleration": np.ones(3), "mass_matrix": np.asarray(0.5)}
    parts = {"panda.exact.mlp": [made], "ur5.payload.robot": [other]}
    parts["ur10_recording.delan"] = [made]
    pendulum = {"rollout": np.full((3, 2), 0.2), "seconds": np.asarray(1.0)}
    parts["double_pendulum_recording.known"] = [pendulum]
    entries = REPRODUCTIONS["arms"].report(tmp_path, Results(parts), True)
    found = {each.name: each.ours for each in entries}
    assert found["torque_nmse.mlp.panda.exact"] == made["torque_nmse"].max()
    assert found["torque_nmse.delan.ur10_recording"] == made["torque_nmse"].mean()
    assert found["rollout_1s.robot.ur5.payload"] == 0.3
    assert found["seconds.robot.ur5.payload"] == made["seconds"]
    assert found["rollout_500ms.known.double_pendulum_recording"] == 0.2
    assert (tmp_path / "torque_nmse.png").exists()
    assert (tmp_path / "torque.png").exists()


@pytest.mark.slow
def test_models_are_as_good_as_what_they_know(tmp_path: Path) -> None:
    robot, residual = (
        part(tmp_path, "payload", model)["torque_nmse"].mean()
        for model in ("robot", "robot-residual")
    )
    assert residual < robot / 3
    exact = part(tmp_path, "exact", "robot")
    assert exact["torque_nmse"].max() < 1e-8
    assert exact["rollout"][-1] < 1e-2
    assert exact["acceleration"].max() < 1e-3
    assert exact["mass_matrix"] < 1e-3
    linear = part(tmp_path, "exact", "least-squares")
    assert linear["rollout"][-1] < 1e-2
    assert linear["mass_matrix"] < 1e-3
    noisy = [part(tmp_path, "friction", model) for model in ("robot", "least-squares")]
    ours, linear = (each["torque_nmse"].mean() for each in noisy)
    assert ours < 1.5 * linear


def test_variants_differ_in_what_is_recorded_and_what_acts(tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    robot = small_arm(tmp_path).robot()
    exact, friction, payload = (
        simulated(robot, variant, 0, (1, 1), 1.0, JOINTS)
        for variant in ("exact", "friction", "payload")
    )
    assert friction.training.fields == ("t", "q", "tau")
    assert friction.unseen.fields == exact.training.fields == ("t", "q", "qd", "qdd", "tau")
    true, rubbed, pulled = (each.unseen[0] for each in (exact, friction, payload))
    np.testing.assert_array_equal(true.q, rubbed.q)
    assert true.tau is not None
    assert rubbed.tau is not None
    assert pulled.tau is not None
    assert true.qd is not None
    # Friction resists motion, so that it takes more work to move.
    assert np.all((rubbed.tau - true.tau) * true.qd >= 0)
    assert np.abs(pulled.tau - true.tau).max() > 1


class Point(AbstractArmModel):
    """Point of inertia 1, whose inverse may be wrong by a factor."""

    factor: float

    def torque(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], qdd: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        return qdd / self.factor

    def acceleration(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], tau: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        return self.factor * tau


def test_rollouts_follow_the_torque_between_samples() -> None:
    t = np.arange(0, 1.01, 0.1)
    q, qd, tau = (f[:, None] for f in (1 - np.cos(3 * t), 3 * np.sin(3 * t), 9 * np.cos(3 * t)))
    starts = windows(TrajectorySet([Trajectory(t, q, qd, tau=tau)]), 10, 10)
    assert starts["q"].shape == (1, 11, 1)
    right = rollouts(Point(1.0), starts, 0.1)
    np.testing.assert_allclose(right, starts["q"], atol=1e-3)
    # The point begins at rest, so that all distances are wrong by the factor.
    wrong = relative_errors(rollouts(Point(1.1), starts, 0.1), starts["q"], 10)
    np.testing.assert_allclose(wrong, 0.1, atol=1e-3)


def test_the_recordings_are_split_as_published() -> None:
    training, unseen = ur10_rows(recording("ur10"))
    first, rest = training[0], unseen[0]
    assert first.rows / (first.rows + rest.rows) == pytest.approx(0.7, abs=1e-3)
    assert rest.t[0] - first.t[-1] == pytest.approx(0.008, abs=1e-4)
    assert rest.qd is not None
    assert rest.qdd is not None
    steps = np.gradient(rest.qd, np.median(np.diff(rest.t)), axis=0)
    np.testing.assert_allclose(steps[2:-2], rest.qdd[2:-2], atol=1e-6)
    swings, kept = pendulum_motions(recording("double_pendulum"))
    assert (len(swings), len(kept)) == (6, 2)
    np.testing.assert_allclose(np.diff(kept[0].t), 0.004, atol=1e-9)


def test_a_missing_description_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "files", lambda name: [])
    with pytest.raises(UserError, match="run `pip install example-robot-data"):
        Arm("no_such_arm.urdf", ("a",)).robot()


def test_models_of_uninstalled_packages_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms, left = REPRODUCTIONS["arms"], "panda.exact.mujoco-sysid"
    assert left in arms.kinds
    monkeypatch.setitem(sys.modules, "mujoco.sysid", None)
    why_missing.cache_clear()
    reason = arms.missing(left)
    why_missing.cache_clear()
    assert reason is not None
    assert "`mujoco.sysid` cannot be imported; `pip install 'mujoco[sysid]'`" in reason
    assert arms.missing("panda.exact.mlp") is None


def test_the_simulation_of_a_description_has_its_dynamics(tmp_path: Path) -> None:
    mujoco = pytest.importorskip("mujoco")
    robot = small_arm(tmp_path).robot()
    assert robot.description is not None
    model = mujoco.MjModel.from_xml_string(simulation(robot.description, 0.01))
    data, (q, qd, qdd) = mujoco.MjData(model), np.random.default_rng(0).normal(size=(3, 3))
    data.qpos[:], data.qvel[:], data.qacc[:] = q, qd, qdd
    mujoco.mj_inverse(model, data)
    with jax.enable_x64(True):
        arrays = (jnp.asarray(each) for each in (q, qd, qdd))
        expected = np.asarray(in_double(robot).inverse_dynamics(*arrays))
    np.testing.assert_allclose(data.qfrc_inverse, expected, rtol=1e-5, atol=1e-5)
    assert (model.nu, model.nsensordata) == (3, 6)


@pytest.mark.slow
def test_mujoco_s_own_identification_gives_right_torques(tmp_path: Path) -> None:
    pytest.importorskip("mujoco.sysid")
    if why_missing() is not None:
        pytest.skip("the extra `sysid` of MuJoCo is not installed")
    exact = part(tmp_path, "exact", "mujoco-sysid")
    assert exact["torque_nmse"].max() < 5e-3
    assert exact["mass_matrix"] < 5e-2
