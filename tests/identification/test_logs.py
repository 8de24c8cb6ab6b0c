"""Logs of a fit: names of joints, estimated accelerations, and files to test on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lagdyna import FitConfig, UserError
from lagdyna.checks import Finding
from lagdyna.config import DataConfig
from lagdyna.data import Trajectory, TrajectorySet, write
from lagdyna.identification import Drawn, Motion, Torques, draw_fit, prepare, unseen_part
from lagdyna.identification import _evaluation as evaluation
from lagdyna.identification import _figures as drawing
from lagdyna.identification._data import digest_of, with_joints
from lagdyna.identification._relative import warnings_of
from lagdyna.identification._robot_data import with_robot
from lagdyna.mechanics import Coordinates, FixedActuation, Forces, MechanicalSystem, State
from lagdyna.parts.dynamics._robot import RobotConfig
from lagdyna.runs._cautions import fit_cautions
from lagdyna.simulate import LagrangianField, LearnedModel, SolvedTransition
from lagdyna.systems import Pendulum

from .small import ANGLE

JOINTS = ("pan", "lift")
ARM = """<robot name="arm"><link name="base"/>
<link name="link"><inertial><mass value="1"/><origin xyz="0 0 -0.5"/>
<inertia ixx="0.1" iyy="0.1" izz="0.1" ixy="0" ixz="0" iyz="0"/></inertial></link>
<joint name="pan" type="continuous"><parent link="base"/><child link="link"/>
<axis xyz="0 1 0"/></joint></robot>"""
T = np.arange(200) / 100


def swing(shift: float, **arrays: Any) -> Trajectory:
    """Two joints that swing under torques of 1 and 4 N m."""
    phase = np.outer(T, [1, 2]) + shift
    q, qd = np.sin(phase), np.array([1, 2]) * np.cos(phase)
    given = {"t": T, "q": q, "qd": qd, "tau": -np.array([1, 4]) * q, "joints": JOINTS}
    return Trajectory(**{**given, **arrays})


def stored(path: Path, *trajectories: Trajectory) -> Path:
    write(path, TrajectorySet([*trajectories]))
    return path


def config(file: Path, **options: Any) -> FitConfig:
    return FitConfig(data=DataConfig(file=str(file), angles="all", **options))


@pytest.fixture
def arm(tmp_path: Path) -> Path:
    return stored(tmp_path / "arm.npz", swing(0))


def test_columns_in_sentences_get_the_names_of_joints() -> None:
    text = "qd0 is 9.55 times the derivative of q1: q12 or qdd in q0.csv?"
    named = "qd0 (pan) is 9.55 times the derivative of q1 (lift): q12 or qdd in q0 (pan).csv?"
    assert with_joints(text, JOINTS) == named
    assert with_joints(text, None) == text


def test_notes_and_refusals_name_the_joints(tmp_path: Path) -> None:
    still = np.stack([np.sin(T), np.full(200, 0.5)], axis=1)
    path = stored(tmp_path / "a.npz", Trajectory(T, still, joints=JOINTS))
    prepared = prepare(config(path))
    assert prepared.joints == JOINTS
    assert any("q1 (lift) never moves" in note for note in prepared.notes)
    wrong = swing(0)
    path = stored(tmp_path / "b.npz", swing(0, qd=np.asarray(wrong.qd) * [1, 57.3]))
    with pytest.raises(UserError, match=r"qd1 \(lift\) is 57.3 times the derivative of q1 \(l"):
        prepare(config(path))
    assert isinstance(Finding("a", False)._replace(text="b"), Finding)


def test_figures_are_labelled_with_the_joints(monkeypatch: pytest.MonkeyPatch) -> None:
    figures: dict[str, Any] = {}
    keep = lambda figure, path: figures.update({path.name: figure})  # noqa: E731
    monkeypatch.setattr(drawing, "save", keep)
    states = State(np.zeros((3, 2)), np.zeros((3, 2)))
    motion = Motion(T[:3], states, states, None, None, None)
    rollout = {"seconds": [0.1], "q": [[0.1, 0.1]], "qd": [[0.1, 0.1]]}
    forces = Torques(
        *(np.zeros((3, 2)),) * 2, Forces(*(np.zeros((3, 2)),) * len(Forces._fields))
    )
    record = {"updates": 1, "loss": 1.0, "validation_loss": 1.0}
    for joints in (JOINTS, None):
        drawn = Drawn(
            Coordinates((True, True)), [motion], forces, T[:3], rollout, joints, "test"
        )
        draw_fit(Path("."), drawn, [record], "delan")
        for name in ("phase.png", "torque.png"):
            texts = [axes.get_title() for axes in figures[name].axes]
            assert texts == (["pan", "lift"] if joints else ["", ""])
            assert " test " in figures[name].get_suptitle()


def test_a_report_names_the_joints_that_are_wrong() -> None:
    shares = {"one_step_q": [0.1, 0.95], "one_step_qd": None, "acceleration": None}
    part = {"relative": {**shares, "torque": None}}
    report = {"loss_training": 1, "loss_validation": 1, "validation": part, "joints": JOINTS}
    assert "error of q of joint lift is 95 % of its change" in warnings_of(report)[0]
    assert "on validation data" in warnings_of(report)[0]
    assert "of coordinate 1 is 95 %" in warnings_of({**report, "joints": None})[0]
    assert "on test data" in warnings_of({**report, "test": part})[0]


@pytest.mark.parametrize("recorded", [True, False])
def test_accelerations_are_estimated_for_a_loss_that_needs_them(
    recorded: bool, tmp_path: Path
) -> None:
    path = stored(tmp_path / "a.npz", swing(0, **({} if recorded else {"qd": None})))
    asked = FitConfig(data=DataConfig(file=str(path), angles="all"), loss="inverse")
    for each in (asked, config(path, accelerations="estimate")):
        prepared = prepare(each)
        assert any("accelerations were not recorded" in note for note in prepared.notes)
        for trajectory in prepared.raw.training:
            exact = -np.array([1, 4]) * trajectory.q
            np.testing.assert_allclose(trajectory.arrays["qdd"], exact, atol=0.05)
    assert "qdd" not in prepare(config(path)).raw.training.fields
    path = stored(tmp_path / "b.npz", swing(0, qdd=np.asarray(swing(0).tau)))
    with pytest.raises(UserError, match="`data.accelerations` was 'estimate', and .*b.npz has"):
        prepare(config(path, accelerations="estimate"))


def test_test_files_are_neither_learned_from_nor_split(arm: Path, tmp_path: Path) -> None:
    backwards = {name: x[:, ::-1] for name, x in swing(0.5).arrays.items() if name != "t"}
    test = stored(tmp_path / "test.npz", swing(0.5, **backwards, joints=JOINTS[::-1]))
    alone, both = prepare(config(arm)), prepare(config(arm, test=str(test)))
    assert both.test is not None
    assert [each.rows for each in both.test.raw] == [200]
    np.testing.assert_array_equal(both.test.raw[0].q, swing(0.5).q)  # in the order of the arm
    for one, other in zip((*alone.raw, *alone.steps), (*both.raw, *both.steps), strict=True):
        np.testing.assert_array_equal(one[0].q, other[0].q)
    assert [name for name, *_ in both.parts] == ["training", "validation", "test"]
    assert digest_of(alone) != digest_of(both)
    free = stored(tmp_path / "free.npz", swing(0.5, tau=1e-3 * np.asarray(swing(0.5).tau)))
    notes = prepare(config(arm, test=str(free))).notes
    assert any("tau of" in note and "spreads 0.000" in note for note in notes)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (swing(0), "200 of 200 rows of .*b.npz are in .*arm.npz too"),
        (
            swing(1, joints=("pan", "hand")),
            "b.npz has the joints pan, hand, and the recordings",
        ),
        (
            swing(1, joints=None, tau=None),
            r"b.npz has t \(1\), q \(2\), qd \(2\), and .*arm.npz",
        ),
        (swing(1, tau=1000 * np.asarray(swing(1).tau)), "tau of .* spreads .* times as far as"),
        (
            swing(1, q=57.3 * np.asarray(swing(1).q), qd=57.3 * np.asarray(swing(1).qd)),
            "q of .*b.npz spreads .* times as far as that of .*arm.npz, as in other units",
        ),
        (swing(1, t=1000 * T), "`data.test`: .*b.npz: .*milliseconds"),
    ],
)
def test_test_files_of_other_systems_or_units_are_refused(
    other: Trajectory, said: str, arm: Path, tmp_path: Path
) -> None:
    test = stored(tmp_path / "b.npz", other)
    with pytest.raises(UserError, match=said) as caught:
        prepare(config(arm, test=str(test)))
    assert "\n" not in str(caught.value)


def test_the_errors_that_count_are_those_of_the_test_file(
    arm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the programs of a model, whose rollouts here stay where they begin."""
    errors = {"q": [0.1, 0.1], "qd": [0.1, 0.1]}
    monkeypatch.setattr(evaluation, "step_errors", lambda model, steps: errors)
    monkeypatch.setattr(evaluation, "motions", lambda model, steps, _: [*map(at_rest, steps)])
    monkeypatch.setattr(evaluation, "torques", lambda model, trajectories: None)
    test = stored(tmp_path / "test.npz", swing(0.5))
    data = prepare(config(arm, test=str(test)))
    system = MechanicalSystem(Pendulum.rod(), ANGLE, FixedActuation(((1.0,),)))
    model = LearnedModel(SolvedTransition(LagrangianField(system), ANGLE, 0.01, solver="heun"))
    report, drawn = evaluation.evaluate(model, data)
    name, part = unseen_part(report)
    assert (name, part["trajectories"], part["rows"]) == ("test", 1, 200)
    assert (drawn.part, drawn.joints, drawn.rollout) == ("test", JOINTS, part["rollout"])
    np.testing.assert_array_equal(drawn.motions[0].states.q, swing(0.5).q)
    report, drawn = evaluation.evaluate(model, prepare(config(arm)))
    assert (unseen_part(report)[0], drawn.part) == ("validation", "validation")


def at_rest(trajectory: Trajectory) -> Motion:
    states = State(trajectory.q, np.asarray(trajectory.qd))
    still = State(np.tile(trajectory.q[:1], (trajectory.rows, 1)), 0 * states.qd)
    return Motion(trajectory.t, states, still, None, None, None)


def test_fits_with_other_unseen_data_are_cautioned() -> None:
    part = {"rollout": {"seconds": [1.0]}}
    report = {"validation": part, "data": "a", "updates": 1, "seed": 0, "dt": 0.1}
    found = fit_cautions("first", ({**report, "test": part}, report), ({}, {}))
    assert found == ["errors of test data, where first has those of validation data"]


@pytest.mark.filterwarnings("error")
def test_a_recording_of_a_robot_is_noted_once(tmp_path: Path) -> None:
    """Recordings of a robot are read twice: for the names of its joints, and for the fit."""
    pytest.importorskip("mujoco")
    (tmp_path / "arm.urdf").write_text(ARM)
    t = 1_700_000_000 + T
    first = {name: swing(0).arrays[name][:, :1] for name in ("q", "qd", "tau")}
    path = stored(tmp_path / "a.npz", swing(0, **first, t=t, joints=("pan",)))
    model = RobotConfig(robot=str(tmp_path / "arm.urdf"))
    found, order = with_robot(FitConfig(data=path, model=model))
    assert order == ("pan",)
    assert sum("since 1970" in note for note in prepare(found, order).notes) == 1
