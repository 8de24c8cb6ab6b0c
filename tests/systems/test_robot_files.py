"""Tests of what robot descriptions with mistakes are answered."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lagdyna._errors import UserError
from lagdyna.systems import RobotDescription, RobotModel

pytest.importorskip("mujoco")

ORIGIN = '<origin xyz="0 0 0.3" rpy="0.1 0.2 0.3"/>'
LIMIT = '<limit lower="-1" upper="1" effort="5" velocity="2"/>'
AXIS = '<axis xyz="0 1 0"/>'
INERTIAL = (
    '<inertial><mass value="1"/>'
    '<inertia ixx="0.1" iyy="0.1" izz="0.1" ixy="0" ixz="0" iyz="0"/></inertial>'
)
LINK = f'<link name="arm">{INERTIAL}</link>'
JOINT = (
    f'<joint name="elbow" type="revolute">{ORIGIN}<parent link="base"/><child link="arm"/>'
    f"{AXIS}{LIMIT}</joint>"
)
URDF = f'<robot name="r"><link name="base"/>{LINK}{JOINT}</robot>'

BODY = '<body name="arm"><joint name="elbow" axis="0 1 0"/><geom size="0.1" mass="1"/></body>'
MJCF = f"<mujoco><worldbody>{BODY}</worldbody></mujoco>"


@pytest.fixture(autouse=True)
def _working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def described(robot: str | Path, **options: Any) -> RobotDescription:
    read = RobotModel.from_mjcf if "<mujoco" in str(robot) else RobotModel.from_urdf
    description = read(robot, **options).description
    assert description is not None
    return description


def refusal(robot: str | Path, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        described(robot, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert not [*Path().glob("MUJOCO_LOG*")]  # MuJoCo writes its warnings there
    return message


def test_the_description_without_mistakes_is_read() -> None:
    for text in (URDF, MJCF):
        description = described(text)
        assert description.joints == ("elbow",)
        assert description.notes == ()


def test_the_arm_of_the_examples_is_read() -> None:
    description = described(Path(__file__).parents[2] / "examples" / "small_arm.urdf")
    assert description.joints == ("yaw", "shoulder", "elbow")
    assert description.notes == ()
    assert "hand" in dict(description.frames)


NO_MASS = "moves and has no mass or inertia; give it an <inertial>"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("<axis", '<mimic joint="wrist"/><axis', "joint 'elbow' mimics another"),
        ("revolute", "planar", "joint 'elbow' is of type 'planar'; revolute, continuous"),
        ("revolute", "floating", "joint 'elbow' is of type 'floating'"),
        (' type="revolute"', "", "joint 'elbow' is of type None"),
        ("revolute", "fixed", "has no joint that moves"),
        (JOINT, "", "2 links that are no joint's child: base, arm; one is accepted"),
        (JOINT, JOINT + JOINT, "two joints with the name 'elbow'; rename one"),
        (LINK, LINK + LINK, "two links with the name 'arm'"),
        (' name="elbow"', "", "has a <joint> without a name"),
        (
            JOINT,
            JOINT + JOINT.replace("elbow", "other"),
            "link 'arm' is the child of two joints; trees are accepted",
        ),
        (
            '<parent link="base"/>',
            '<parent link="arm"/>',
            "links arm hang on each other in a closed loop",
        ),
        ('link="base"', 'link="bases"', "parent link 'bases', which is not described; nearest"),
        ('<child link="arm"/>', "", 'no <child link="...">'),
        (INERTIAL, "", f"link 'arm' {NO_MASS}"),
        ('mass value="1"', 'mass value="0"', f"link 'arm' {NO_MASS}"),
        ('mass value="1"', 'mass value="-2"', "a mass of -2 kg; a positive one"),
        ('mass value="1"', 'mass value="heavy"', "a mass of 'heavy'; a finite number"),
        (
            'mass value="1"',
            'mass value="1e300"',
            "`value` of <mass> is '1e300'; finite numbers up to 1e+09",
        ),
        ('<mass value="1"/>', "", "an <inertial> without <mass>"),
        ('"0.1"', '"0"', f"link 'arm' {NO_MASS}"),
        ('izz="0.1"', 'izz="-0.1"', "principal moments of inertia -0.1, 0.1, 0.1 kg m^2"),
        ('ixy="0"', 'ixy="0.2"', "principal moments of inertia -0.1, 0.1, 0.3 kg m^2"),
        ('ixx="0.1"', 'ixx="nan"', "`ixx` of <inertia> is 'nan'; finite numbers"),
        ('xyz="0 1 0"', 'xyz="0 0 0"', "joint 'elbow' has the axis 0 0 0"),
        ('xyz="0 1 0"', 'xyz="0 1"', "an axis of '0 1'; 3 finite numbers"),
        ('xyz="0 0 0.3"', 'xyz="0 inf 0.3"', "`xyz` of <origin> is '0 inf 0.3'"),
        ('xyz="0 0 0.3"', 'xyz="0 0 1e40"', "`xyz` of <origin> is '0 0 1e40'"),
        ('xyz="0 0 0.3"', 'xyz="a b c"', "cannot be read as a robot"),
        ('lower="-1"', 'lower="2"', "limits from 2 to 1; exchange them"),
        ('lower="-1"', 'lower="low"', "a limit of 'low'"),
        (LIMIT, '<dynamics damping="some"/>', "damping of 'some'; a finite number"),
        ("</robot>", "", "is not XML: "),
        ("robot", "mujoco", "begins with <mujoco>, as MJCF has it; URDF begins with <robot>"),
        ("robot", "html", "begins with <html>; URDF begins with <robot>"),
        ('value="1"', 'value="${mass}"', "has xacro macros; expand them first"),
        ("</robot>", f"{'<x>' * 600}{'</x>' * 600}</robot>", "nested more than 500 deep"),
        ("<robot", '<!DOCTYPE r [<!ENTITY a "b">]><robot', "declares XML entities"),
        (
            "<robot",
            '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/hostname">]><robot',
            "declares XML entities",
        ),
    ],
)
def test_mistakes_in_urdf_are_named(old: str, new: str, expected: str) -> None:
    assert old in URDF
    text = URDF.replace(old, new)
    if "mujoco" in new:
        with pytest.raises(UserError, match=expected):
            RobotModel.from_urdf(text)
    else:
        assert expected in refusal(text)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("axis=", 'type="ball" axis=', "joint 'elbow' is a ball joint; hinges and slides"),
        ("axis=", 'type="free" axis=', "joint 'elbow' is a free joint"),
        (' mass="1"', ' density="0"', f"link 'arm' {NO_MASS}"),
        ('axis="0 1 0"', 'axis="0 nan 0"', "`axis` of <joint> is '0 nan 0'"),
        (
            'name="arm"',
            'name="arm" pos="0 0 1e20"',
            "the position of body 'arm' is 1e+20; at most 1e+09",
        ),
        ('mass="1"', 'mass="1e308"', "the mass of body 'arm' is 1e+308"),
        (BODY, "<banana/>", "cannot be read as a robot: XML Error"),
        (BODY, "", "has no joint that moves"),
        (
            "</mujoco>",
            '<equality><joint joint1="elbow"/></equality></mujoco>',
            "has 1 equality constraints",
        ),
        (
            '<geom size="0.1" mass="1"/>',
            '<geom type="mesh" mesh="hull"/></body></worldbody><asset>'
            '<mesh name="hull" file="nowhere.stl"/></asset><worldbody><body>',
            "the inertia of body 'arm' follows from a mesh that was not found",
        ),
    ],
)
def test_mistakes_in_mjcf_are_named(old: str, new: str, expected: str) -> None:
    assert old in MJCF
    assert expected in refusal(MJCF.replace(old, new))


def test_urdf_given_as_mjcf() -> None:
    with pytest.raises(UserError, match="begins with <robot>, as URDF has it"):
        RobotModel.from_mjcf(URDF)


@pytest.mark.parametrize("text", [URDF, MJCF])
def test_unknown_joints_are_answered_with_the_nearest(text: str) -> None:
    assert "no joint 'elbo' that moves; nearest are elbow" in refusal(text, joints=["elbo"])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file or directory"),
        (b"", "is not XML: no element found"),
        (b"\xff\xfe\x00", "is not XML"),
        (b"\x89PNG\r\n", "is not XML"),
        (URDF.replace("elbow", "élbow").encode("latin-1"), "is not XML"),
        (b'<?xml version="1.0" encoding="klingon"?><robot/>', "is not XML: unknown encoding"),
        (
            '<!DOCTYPE r [<!ENTITY a "b">]><robot/>'.encode("utf-16"),
            "declares XML entities",
        ),
    ],
)
def test_files_that_are_no_description(content: bytes | None, expected: str) -> None:
    path = Path("arm.urdf")
    if content is not None:
        path.write_bytes(content)
    message = refusal(path)
    assert "arm.urdf" in message
    assert expected in message


@pytest.mark.parametrize("path", ["", ".", "arm\0.urdf"])
def test_paths_that_cannot_be_read(path: str) -> None:
    assert "cannot read the robot description" in refusal(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings_that_the_file_declares(encoding: str) -> None:
    text = URDF.replace("elbow", "élbow")
    if encoding == "latin-1":
        text = f'<?xml version="1.0" encoding="ISO-8859-1"?>{text}'
    Path("arm.urdf").write_bytes(text.encode(encoding))
    assert described(Path("arm.urdf")).joints == ("élbow",)
    assert described(f'<?xml version="1.0" encoding="ISO-8859-1"?>{URDF}').joints == ("elbow",)


def test_what_is_not_needed_is_ignored() -> None:
    geometry = '<geometry><mesh filename="package://nowhere/arm.dae"/></geometry>'
    extra = f"<visual>{geometry}</visual><collision>{geometry}</collision>{INERTIAL}"
    text = URDF.replace(INERTIAL, extra).replace("<robot", '<robot xmlns="http://a.b"')
    text = text.replace("</robot>", "<gazebo/><material name='red'/><anything/></robot>")
    assert described(text) == described(URDF)
    # Limits that are no numbers limit nothing.
    text = URDF.replace('effort="5" velocity="2"', 'effort="nan" velocity="-1"')
    [link] = described(text).links
    assert (link.effort, link.velocity) == (np.inf, np.inf)
    assert not [*Path().glob("MUJOCO_LOG*")]


def test_meshes_of_mjcf_are_ignored_where_bodies_have_inertia() -> None:
    inertial = '<inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>'
    text = MJCF.replace(
        '<geom size="0.1" mass="1"/>', inertial + '<geom type="mesh" mesh="x"/>'
    )
    text = text.replace("</mujoco>", '<asset><mesh name="x" file="x.stl"/></asset></mujoco>')
    description = described(text)
    assert description.notes == ("meshes were not found and are ignored",)
    assert description.links[0].mass == 1.0


def test_inertia_that_no_body_has_is_replaced_by_the_nearest() -> None:
    description = described(URDF.replace('izz="0.1"', 'izz="0.3"'))
    [note] = description.notes
    assert "link 'arm' has principal moments of inertia 0.1, 0.1, 0.3 kg m^2, which no" in note
    moments = np.linalg.eigvalsh(np.array(description.links[0].inertia))
    np.testing.assert_allclose(moments, [0.15, 0.15, 0.3], rtol=1e-4)


def test_flat_plates_and_point_masses_are_bodies() -> None:
    # Rounded moments of a plate, and a small tool on the arm.
    plate = described(URDF.replace('izz="0.1"', 'izz="0.2000000001"'))
    assert plate.notes == ()
    tool = INERTIAL.replace('"0.1"', '"1e-16"')
    grip = '<joint name="grip" type="fixed"><parent link="arm"/><child link="tool"/></joint>'
    text = URDF.replace("</robot>", f'<link name="tool">{tool}</link>{grip}</robot>')
    [link] = described(text).links
    assert link.mass == 2.0


def test_the_inertia_of_the_base_does_not_matter() -> None:
    base = f'<link name="base">{INERTIAL.replace("0.1", "-3")}</link>'
    assert described(URDF.replace('<link name="base"/>', base)).links == described(URDF).links


def test_friction_and_rotors_are_never_negative() -> None:
    [link] = described(URDF.replace(LIMIT, '<dynamics damping="-1" friction="2"/>')).links
    assert (link.viscous, link.coulomb) == (0.0, 2.0)
    description = described(MJCF.replace("axis=", 'damping="-3" axis='))
    assert description.notes == ("joint 'elbow' has a negative damping, -3; 0 is used",)


def test_forces_of_mjcf_that_the_model_lacks_are_named() -> None:
    text = MJCF.replace("<worldbody>", '<option density="1.2"/><worldbody>')
    text = text.replace('name="arm"', 'name="arm" gravcomp="1"')
    tendon = '<tendon><fixed><joint joint="elbow" coef="1"/></fixed></tendon></mujoco>'
    [note] = described(text.replace("</mujoco>", tendon)).notes
    assert note == (
        "ignored of the file: tendons, gravity compensation (`gravcomp`), forces of a fluid"
    )
    text = MJCF.replace("<worldbody>", '<option><flag gravity="disable"/></option><worldbody>')
    assert described(text).gravity == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("text", [URDF, MJCF])
def test_without_mujoco_the_extra_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    assert "pip install 'lagdyna[mujoco]'" in refusal(text)


def test_text_that_is_no_description_in_json() -> None:
    for text in ("", "[]", '{"name": 1}', "{"):
        with pytest.raises(ValueError, match="no robot description"):
            RobotDescription.of_json(text)


def test_unknown_bodies_are_answered_with_the_known() -> None:
    robot = RobotModel.from_urdf(URDF)
    with pytest.raises(ValueError, match="bodies of the robot are base, arm"):
        robot.frame_pose(robot.gravity[:1], "hand")
