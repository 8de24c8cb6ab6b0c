"""Tests of robots that are read from files, against MuJoCo and Pinocchio."""

import importlib
import importlib.metadata
import importlib.util
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from lagdyna.systems import RobotDescription, RobotModel

mujoco: Any = pytest.importorskip("mujoco")


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def link(name: str, mass: float, *moments: float, offset: str = "0 0 0") -> str:
    xx, yy, zz, xy = moments
    return f"""
      <link name="{name}">
        <inertial>
          <origin xyz="0.02 -0.03 0.1" rpy="0.3 -0.2 0.5"/>
          <mass value="{mass}"/>
          <inertia ixx="{xx}" iyy="{yy}" izz="{zz}" ixy="{xy}" ixz="0" iyz="0.001"/>
        </inertial>
        <visual><geometry><mesh filename="package://nowhere/{name}.dae"/></geometry></visual>
        <collision><geometry><mesh filename="{name}.stl"/></geometry></collision>
      </link>"""


def joint(name: str, kind: str, parent: str, child: str, inside: str = "") -> str:
    return f"""
      <joint name="{name}" type="{kind}">
        <origin xyz="0.1 -0.05 0.2" rpy="0.4 0.1 -0.7"/>
        <parent link="{parent}"/><child link="{child}"/>{inside}
      </joint>"""


# A turntable with a lift, on which are a wrist with a tool and a second arm.
URDF = f"""<?xml version="1.0"?>
    <robot name="small">
      <link name="base"/>
      {link("table", 2.0, 0.03, 0.04, 0.05, 0.002)}
      {link("lift", 1.5, 0.02, 0.03, 0.02, 0.001)}
      {link("wrist", 0.5, 0.01, 0.01, 0.012, 0.001)}
      {link("tool", 0.2, 0.004, 0.003, 0.004, 0.001)}
      {link("arm", 0.7, 0.02, 0.01, 0.02, 0.001)}
      <link name="tip"/>
      {joint("turn", "continuous", "base", "table", '<axis xyz="0 0 1"/>')}
      {
    joint(
        "raise",
        "prismatic",
        "table",
        "lift",
        '<axis xyz="1 2 2"/><limit lower="-0.2" upper="0.5" effort="80" velocity="0.4"/>'
        '<dynamics damping="3" friction="2"/>',
    )
}
      {
    joint(
        "bend",
        "revolute",
        "lift",
        "wrist",
        '<axis xyz="0 -2 0"/><limit lower="-2" upper="1.5" effort="12" velocity="3"/>',
    )
}
      {joint("hold", "fixed", "wrist", "tool")}
      {joint("end", "fixed", "tool", "tip")}
      {joint("swing", "revolute", "table", "arm")}
    </robot>"""


def reference(model: Any) -> Any:
    """Switch off what exerts forces on a model beside inertia, gravity and springs."""
    off = mujoco.mjtDisableBit
    for flag in (off.mjDSBL_LIMIT, off.mjDSBL_CONTACT, off.mjDSBL_FRICTIONLOSS):
        model.opt.disableflags |= flag
    return model


def check(robot: RobotModel, model: Any, body: str) -> None:
    """Compare forces, accelerations and the pose of a body with MuJoCo's."""
    samples, n = 8, robot.tree.links
    # Joints of other bodies, which do not touch the robot, rest at 0.
    place = [model.joint(name).dofadr[0] for name in robot.joints]
    q, qd, qdd = np.random.default_rng(0).normal(size=(3, samples, n))

    @jax.jit
    @jax.vmap
    def ours(q, qd, qdd, tau):
        rotation, position = robot.frame_pose(q, body)
        forces = robot.inverse_dynamics(q, qd, qdd)
        return forces, robot.forward_dynamics(q, qd, tau), rotation, position

    forces, accelerations, poses = [], [], []
    data = mujoco.MjData(model)
    damping = model.dof_damping.reshape(model.nv, -1)[place, 0]
    for i in range(samples):
        data.qpos[place], data.qvel[place], data.qacc[place] = q[i], qd[i], qdd[i]
        mujoco.mj_inverse(model, data)
        forces.append(data.qfrc_inverse[place] - damping * qd[i])
        data.qfrc_applied[place] = data.qfrc_inverse[place]
        mujoco.mj_forward(model, data)
        accelerations.append(data.qacc[place])
        poses.append([*data.body(body).xmat, *data.body(body).xpos])
    scale = np.abs(forces).max()
    found = ours(q, qd, qdd, np.array(forces))
    np.testing.assert_allclose(found[0], forces, rtol=0, atol=1e-10 * scale)
    np.testing.assert_allclose(found[1], accelerations, rtol=1e-8, atol=1e-8)
    pose = np.concatenate([np.reshape(found[2], (samples, 9)), found[3]], axis=1)
    np.testing.assert_allclose(pose, poses, rtol=0, atol=1e-12)


def test_a_small_urdf_moves_as_in_mujoco() -> None:
    robot = RobotModel.from_urdf(URDF)
    description = robot.description
    assert description is not None
    assert description.joints == ("turn", "raise", "bend", "swing")
    turn, lift, bend, swing = description.links
    assert (lift.lower, lift.upper, lift.velocity, lift.effort) == (-0.2, 0.5, 0.4, 80.0)
    assert (lift.viscous, lift.coulomb, lift.slides) == (3.0, 2.0, True)
    assert (turn.lower, turn.upper, turn.effort) == (-np.inf, np.inf, np.inf)
    assert (turn.parent, lift.parent, bend.parent, swing.parent) == (-1, 0, 1, 0)
    # The tool is part of the link that it is fixed to.
    np.testing.assert_allclose(bend.mass, 0.7)
    assert robot.coordinates.angles == (True, False, True, True)
    model = mujoco.MjModel.from_xml_string(plain(URDF))
    # The axis of `swing` is URDF's default, x.
    model.jnt_axis[model.joint("swing").id] = [1, 0, 0]
    check(robot, reference(model), "tip")
    assert RobotDescription.of_json(description.to_json()) == description


def test_joints_that_are_not_named_are_fixed() -> None:
    robot = RobotModel.from_urdf(URDF, joints=["raise", "bend"])
    assert robot.description is not None
    assert robot.joints == ("raise", "bend")
    assert {name for name, _ in robot.description.frames} >= {"base", "table", "arm", "tip"}


def test_gymnasiums_pusher_moves_as_in_mujoco() -> None:
    found = importlib.util.find_spec("gymnasium")
    assert found is not None
    assert found.origin is not None
    path = Path(found.origin).parent / "envs" / "mujoco" / "assets" / "pusher_v5.xml"
    model = mujoco.MjModel.from_xml_path(str(path))
    names = [model.joint(i).name for i in range(model.njnt)]
    arm = [name for name in names if name.startswith("r_")]
    assert len(arm) == 7
    robot = RobotModel.from_mjcf(path, joints=arm)
    check(robot, reference(model), "tips_arm")


def plain(text: str) -> str:
    """Remove geometry from a URDF, and fix joints that mimic others."""
    root = ET.fromstring(text)
    for each in root.iter("link"):
        for part in [*each.findall("visual"), *each.findall("collision")]:
            each.remove(part)
    for each in root.findall("joint"):
        for part in each.findall("mimic"):
            each.remove(part)
            each.set("type", "fixed")
    compiler = ET.SubElement(ET.SubElement(root, "mujoco"), "compiler")
    compiler.set("fusestatic", "false")
    return ET.tostring(root, encoding="unicode")


ARMS = ("panda", "ur5_robot", "ur10_robot", "xarm7", "z1", "kinova")


@pytest.mark.slow
@pytest.mark.parametrize("arm", ARMS)
def test_arms_move_as_in_mujoco_and_pinocchio(arm: str) -> None:
    try:
        files = importlib.metadata.files("example-robot-data") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("needs example-robot-data")
    [path] = [str(x.locate()) for x in files if x.name == f"{arm}.urdf"]
    text = plain(Path(path).read_text(encoding="utf-8"))
    robot = RobotModel.from_urdf(text)
    model = reference(mujoco.MjModel.from_xml_string(text))
    check(robot, model, model.body(model.nbody - 1).name)
    compare_with_pinocchio(robot, text)


def compare_with_pinocchio(robot: RobotModel, text: str) -> None:
    try:
        pin: Any = importlib.import_module("pinocchio")
    except ImportError:
        return
    model = pin.buildModelFromXML(text)
    data = model.createData()
    ids = [model.getJointId(name) for name in robot.joints]
    place = np.array([model.joints[i].idx_v for i in ids])
    q, qd, qdd = np.random.default_rng(0).normal(size=(3, len(ids)))
    theirs = pin.neutral(model)
    for i, value in zip(ids, q, strict=True):
        # Pinocchio has continuous joints as cosine and sine.
        many = model.joints[i].nq > 1
        entry = [np.cos(value), np.sin(value)] if many else [value]
        theirs[model.joints[i].idx_q :][: len(entry)] = entry
    speed, change = np.zeros((2, model.nv))
    speed[place], change[place] = qd, qdd
    right = pin.rnea(model, data, theirs, speed, change)[place]
    found = jax.jit(lambda *x: robot.inverse_dynamics(*x))(q, qd, qdd)
    rotor = model.armature[place] * qdd  # both have the rotors that the file names
    assert not rotor.any()
    np.testing.assert_allclose(found, right, rtol=0, atol=1e-10 * np.abs(right).max())
