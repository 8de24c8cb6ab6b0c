"""Columns by the names of other programs: patterns, and the joints that they name."""

import numpy as np
import pytest

from lagdyna.data import DataError, Trajectory, TrajectorySet, read, split, write
from lagdyna.tables import expand_columns

T = np.arange(4) / 10
JOINTS = ("shoulder_pan", "elbow")


def table(path, **columns):
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(map(repr, row)) for row in rows)]
    path.write_text("\n".join(lines))
    return path


def values(count):
    """Columns that are told apart by their first value."""
    return [(T + i).tolist() for i in range(count)]


def first(array):
    return array[0].tolist()


@pytest.fixture
def arm(tmp_path):
    a, b, c, d = values(4)
    return table(
        tmp_path / "arm.csv",
        effort_elbow=d,
        pos_shoulder_pan=a,
        stamp=T.tolist(),
        pos_elbow=b,
        effort_shoulder_pan=c,
        temperature=a,
    )


def test_a_pattern_finds_joints_in_the_order_of_the_positions(arm):
    found = read(arm, columns={"q": "pos_*", "tau": "effort_*", "t": "stamp"})
    assert found.joints == JOINTS
    assert found.fields == ("t", "q", "tau")
    assert (first(found[0].q), first(found[0].tau)) == ([0, 1], [2, 3])


def test_a_pattern_finds_numbers_in_natural_order(tmp_path):
    names = [f"pos_{i}" for i in (10, 2, 1)]
    path = table(
        tmp_path / "a.csv",
        t=T.tolist(),
        pos_error=T.tolist(),
        **dict(zip(names, values(3), strict=True)),
    )
    (found,) = read(path, columns={"q": "pos_*"})
    assert first(found.q) == [2, 1, 0]
    assert found.joints is None


def test_numbers_in_brackets_belong_to_the_name(tmp_path):
    a, b = values(2)
    columns = {"t [ms]": T.tolist(), "position[0]": a, "position[1]": b}
    (found,) = read(table(tmp_path / "a.csv", **columns), columns={"q": "position[*]"})
    assert first(found.q) == [0, 1]
    np.testing.assert_allclose(found.t, T / 1000)


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_arrays_of_joints_are_stacked(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    a, b = values(2)
    arrays = {"stamp": T, "pos_elbow": np.array(b), "pos_wrist": np.array(a)}
    if suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with pytest.importorskip("h5py").File(path, "w") as file:
            for name, x in arrays.items():
                file[name] = x
    found = read(path, columns={"q": "pos_*", "t": "stamp"})
    assert (found.joints, first(found[0].q)) == (("elbow", "wrist"), [1, 0])


def test_one_array_may_be_named_by_its_field(tmp_path):
    path = table(tmp_path / "a.csv", t=T.tolist(), angle=T.tolist())
    assert read(path, columns={"q": "angle"}).n == 1


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"q": "ps_*"},
            r"no column matches 'ps_\*', which `columns` gives for q; nearest: 'pos_",
        ),
        ({"q": "pos_*", "tau": "*"}, "q=pos_.* finds 'shoulder_pan', 'elbow' and tau=.* finds"),
        ({"q": "*_*"}, r"has q=\*_\*; a pattern with one \* is accepted"),
        ({"q0": "pos_*"}, r"has q0=pos_\*; a pattern with one \*.*as q=pos_\*"),
        ({"t": "st*"}, r"has t=st\*; a pattern"),
        ({"torque": "effort_*"}, "for 'torque'.*; t, trajectory, q, qd, qdd, tau, action, or"),
        ({"q": "pos_*", "t": "pos_elbow"}, "takes the column 'pos_elbow' for t and for q1"),
        ({"q": "pos_*"}, "no column 't'.* which column is which: --data.columns.t stamp"),
        ({"t": "stamp"}, r"no column 'q0'.*: --columns q=pos_\* \("),
        ({}, r"unknown column 'effort_elbow'.*: --columns tau=effort_\*,q=pos_\*,t=stamp \("),
    ],
)
def test_a_mistake_is_one_sentence(arm, columns, said):
    with pytest.raises(DataError, match=said) as caught:
        read(arm, columns=columns)
    assert "\n" not in str(caught.value)


def test_numbers_and_names_of_one_arm_are_refused():
    with pytest.raises(DataError, match=r"finds '1', '2' and tau=\*_torque finds 'a', 'b'"):
        expand_columns(
            "log", {"q": "q_*", "tau": "*_torque"}, ["q_1", "q_2", "a_torque", "b_torque"]
        )


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_names_of_joints_are_stored_and_kept(suffix, tmp_path):
    if suffix == ".h5":
        pytest.importorskip("h5py")
    t = np.arange(30) / 10
    recorded = TrajectorySet([Trajectory(t, np.zeros((30, 2)), joints=JOINTS)])
    write(tmp_path / f"a{suffix}", recorded)
    found = read(tmp_path / f"a{suffix}")
    assert found.joints == JOINTS
    assert all(part.joints == JOINTS for part in split(found))


def test_files_of_one_arm_may_order_their_joints_differently(tmp_path):
    q = np.stack(values(2), axis=1)
    write(tmp_path / "a.npz", TrajectorySet([Trajectory(T, q, joints=JOINTS)]))
    write(tmp_path / "b.npz", TrajectorySet([Trajectory(T, q, joints=JOINTS[::-1])]))
    write(tmp_path / "c.npz", TrajectorySet([Trajectory(T, q, joints=("elbow", "hand"))]))
    with pytest.warns(match="b.npz: coordinates were brought into the order of the joints in"):
        found = read([tmp_path / "a.npz", tmp_path / "b.npz"])
    assert [first(each.q) for each in found] == [[0, 1], [1, 0]]
    with pytest.raises(DataError, match="c.npz has the joints elbow, hand, and .*a.npz has"):
        read([tmp_path / "a.npz", tmp_path / "c.npz"])


def test_names_of_joints_must_be_as_many_as_coordinates():
    with pytest.raises(DataError, match="`joints` was 'a', 'a'; one name of its own for each"):
        Trajectory(T, np.zeros((4, 2)), joints=("a", "a"))
