"""Exciting motions: limits, rest at both ends, base parameters, and the command."""

import json
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.cli import main
from lagdyna.data import read
from lagdyna.excitation import Excitation, excite
from lagdyna.systems import RobotModel

LINK = """
<link name="{0}"><inertial><origin xyz="0.2 0 0"/><mass value="1"/>
<inertia ixx="0.01" iyy="0.02" izz="0.02" ixy="0" ixz="0" iyz="0"/></inertial></link>
<joint name="j{0}" type="{2}"><origin xyz="{3} 0 0"/><parent link="{1}"/>
<child link="{0}"/><axis xyz="0 1 0"/>{4}</joint>"""
LIMIT = '<limit lower="{}" upper="{}" velocity="{}" effort="{}"/>'
ROBOT = (
    '<robot name="two"><link name="base"/>'
    + LINK.format("a", "base", "revolute", 0, LIMIT.format(-0.5, 1.5, 2, 5))
    + LINK.format("b", "a", "continuous", 0.4, "")
    + "</robot>"
)


@pytest.fixture(scope="module")
def robot() -> RobotModel:
    pytest.importorskip("mujoco")
    return RobotModel.from_urdf(ROBOT)


@pytest.fixture(scope="module")
def found(robot: RobotModel) -> Excitation:
    return excite(robot, seconds=4.0, rate=50.0, harmonics=3, restarts=2, seed=1)


def test_it_starts_and_ends_at_rest_within_the_limits(found: Excitation) -> None:
    trajectory = found.trajectory
    t, q, qd, qdd = trajectory.t, trajectory.q, trajectory.qd, trajectory.qdd
    assert qd is not None
    assert qdd is not None
    assert trajectory.joints == ("ja", "jb")
    assert (len(t), t[0], t[-1]) == (201, 0.0, 4.0)
    for rows in (qd, qdd, q - q[0]):
        np.testing.assert_allclose(rows[[0, -1]], 0, atol=1e-9)
    # Of -0.5 to 1.5 rad and 2 rad/s, nine tenths may be used; the other joint has no limits.
    share = 0.9 + 1e-9  # rounding
    assert np.all(np.abs(q - [0.5, 0]) <= share * np.asarray([1, np.pi]))
    assert np.all(np.abs(qd) <= share * np.asarray([2, np.pi]))
    assert [note.split(":")[0] for note in found.notes] == [
        "joint jb has no limits of position",
        "joint jb has no limit of speed",
    ]
    np.testing.assert_allclose(found.position_share[0], np.abs(q[:, 0] - 0.5).max())
    np.testing.assert_allclose(found.velocity_share[0], np.abs(qd[:, 0]).max() / 2)


def test_velocities_and_accelerations_are_derivatives(found: Excitation) -> None:
    trajectory = found.trajectory
    step = trajectory.t[1]
    for x, xd in ((trajectory.q, trajectory.qd), (trajectory.qd, trajectory.qdd)):
        assert x is not None
        assert xd is not None
        slope = (x[:-4] - 8 * x[1:-3] + 8 * x[3:-1] - x[4:]) / (12 * step)
        np.testing.assert_allclose(xd[2:-2], slope, atol=2e-3 * np.abs(xd).max())


def test_torques_are_kept_within_their_limits(robot: RobotModel, found: Excitation) -> None:
    # Stretched out at rest, the first joint would carry 7.8 N m of 5.
    straight = np.asarray(robot.inverse_dynamics(*(jnp.zeros(2),) * 3))
    assert abs(straight[0]) > 7
    assert 0.3 < found.torque_share[0] < 1.02
    assert np.isnan(found.torque_share[1])


def test_it_tells_more_than_random_motions(found: Excitation) -> None:
    # Two links in a vertical plane have six base parameters; the second rotor is the seventh,
    # and each joint has two numbers of friction and an offset.
    assert found.base_parameters == 13
    assert found.information > 0.1
    assert found.condition < found.random_condition


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seconds": -1.0}, "`seconds` was -1"),
        ({"harmonics": 1}, "`harmonics` was 1"),
        ({"share": 1.5}, "`share` was 1.5"),
        ({"rate": 1.0}, "too few for 5 harmonics"),
        ({"rate": 1e9}, "at most 1,000,000"),
        ({"restarts": 0}, "`restarts` was 0"),
    ],
)
def test_other_values_are_refused(robot: RobotModel, options: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        excite(robot, **options)


def test_the_command_writes_a_new_directory(
    found: Excitation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "two.urdf").write_text(ROBOT)
    monkeypatch.chdir(tmp_path)
    asked = {}

    def known(robot: RobotModel, **options: object) -> Excitation:
        asked.update(options)
        return found

    monkeypatch.setattr("lagdyna.excitation.excite", known)
    monkeypatch.setattr(
        sys, "argv", ["lagdyna", "excite", "two.urdf", "--seconds", "4", "--seed", "1"]
    )
    main()
    out = tmp_path / "runs" / "two-excitation-1"
    assert asked == {"seconds": 4.0, "seed": 1}
    said = capsys.readouterr().out
    assert "condition number of the 13 base parameters" in said
    assert "note: joint jb has no limits of position" in said
    report = json.loads((out / "excitation.json").read_text())
    assert report["torque_share"][1] is None
    for name in ("trajectory.csv", "trajectory.npz"):
        np.testing.assert_array_equal(read(out / name)[0].qdd, found.trajectory.qdd)
    assert (out / "excitation.png").stat().st_size > 1000
    monkeypatch.setattr(sys, "argv", ["lagdyna", "excite", "two.urdf", "--out", str(out)])
    with pytest.raises(SystemExit):
        main()
    assert "is not empty" in capsys.readouterr().err
