"""Joint states in recordings of ROS: bags, MCAP files, topics, joints, and time stamps."""

import sqlite3
import struct
import sys

import numpy as np
import pytest

from lagdyna.data import DataError, ReadWarning, Trajectory, TrajectorySet, read, write

TYPE = "sensor_msgs/msg/JointState"
START = 1_700_000_000_000_000_000  # nanoseconds since 1970
STEP = 8_000_000


def string(text):
    raw = text.encode() + b"\0"
    return struct.pack("<I", len(raw)) + raw


def message(stamp, joints, *quantities):
    """Encode a joint state as CDR: little endian, numbers aligned to their size."""
    body = struct.pack("<iI", *divmod(stamp, 10**9)) + string("base")

    def align(size):
        return b"\0" * (-len(body) % size)

    body += align(4) + struct.pack("<I", len(joints))
    for name in joints:
        body += align(4) + string(name)
    for values in quantities:
        body += align(4) + struct.pack("<I", len(values))
        if len(values):
            body += align(8) + struct.pack(f"<{len(values)}d", *values)
    return b"\0\1\0\0" + body


def states(count=6, start=START, joints=("pan", "lift")):
    """Messages of joints whose position, velocity and effort tell them apart."""
    return [
        message(
            start + i * STEP,
            joints,
            *([10 * k + j + i / 100 for j in range(len(joints))] for k in range(3)),
        )
        for i in range(count)
    ]


def sqlite_bag(path, topics):
    """Write the file of a bag as its storage plugin does, without `metadata.yaml`."""
    with sqlite3.connect(path) as file:
        file.execute(
            "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, "
            "serialization_format TEXT, offered_qos_profiles TEXT)"
        )
        file.execute(
            "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, "
            "timestamp INTEGER, data BLOB)"
        )
        for i, (name, messages) in enumerate(topics.items()):
            kind = TYPE if messages else "tf2_msgs/msg/TFMessage"
            file.execute("INSERT INTO topics VALUES(?, ?, ?, 'cdr', '')", (i + 1, name, kind))
            for k, data in enumerate(messages):
                file.execute(
                    "INSERT INTO messages VALUES(NULL, ?, ?, ?)",
                    (i + 1, START + k * STEP, data),
                )
    file.close()
    return path


@pytest.fixture
def bag(tmp_path):
    pytest.importorskip("rosbags")
    return lambda *messages, **topics: sqlite_bag(
        tmp_path / "a.db3", topics or {"/joint_states": list(messages)}
    )


def test_a_bag_without_metadata_is_read(bag):
    with pytest.warns(
        ReadWarning, match="nanoseconds since 1970 .* which is 2023-11-14 22:13:20"
    ):
        found = read(bag(*states()))
    (trajectory,) = found
    assert found.joints == ("pan", "lift")
    assert found.fields == ("t", "q", "qd", "tau")
    np.testing.assert_allclose(trajectory.t, 0.008 * np.arange(6), rtol=1e-12)
    for k, name in enumerate(("q", "qd", "tau")):
        assert trajectory.arrays[name][5].tolist() == [10 * k + 0.05, 10 * k + 1 + 0.05]


@pytest.mark.filterwarnings("ignore::lagdyna.data.ReadWarning")
@pytest.mark.parametrize("plugin", ["SQLITE3", "MCAP"])
def test_bags_that_rosbags_writes_are_read(plugin, tmp_path):
    rosbag2 = pytest.importorskip("rosbags.rosbag2")
    typesys = pytest.importorskip("rosbags.typesys")
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    storage = getattr(rosbag2.StoragePlugin, plugin)
    logs = tmp_path / "logs"
    logs.mkdir()
    with rosbag2.Writer(logs / "bag", version=9, storage_plugin=storage) as writer:
        topic = writer.add_connection("/joint_states", TYPE, typestore=store)
        for i, raw in enumerate(states()):
            writer.write(topic, START + i * STEP, raw)
    (file,) = [*(logs / "bag").glob("*.db3"), *(logs / "bag").glob("*.mcap")]
    for path in (logs, logs / "bag", file, f"{logs}/b*"):
        assert read(path).joints == ("pan", "lift")
        assert read(path)[0].q[5].tolist() == [0.05, 1.05]


@pytest.mark.filterwarnings("ignore::lagdyna.data.ReadWarning")
def test_bags_of_ros_1_are_read(tmp_path):
    rosbag1 = pytest.importorskip("rosbags.rosbag1")
    typesys = pytest.importorskip("rosbags.typesys")
    store = typesys.get_typestore(typesys.Stores.ROS1_NOETIC)
    two = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    with rosbag1.Writer(tmp_path / "a.bag") as writer:
        topic = writer.add_connection("/joint_states", TYPE, typestore=store)
        for i, raw in enumerate(states()):
            state = two.deserialize_cdr(raw, TYPE)
            header = store.types["std_msgs/msg/Header"](i, state.header.stamp, "base")
            kind = store.types[TYPE]
            same = kind(header, state.name, state.position, state.velocity, state.effort)
            writer.write(topic, START + i * STEP, store.serialize_ros1(same, TYPE))
    found = read(tmp_path / "a.bag")
    assert (found.joints, found[0].tau[5].tolist()) == (("pan", "lift"), [20.05, 21.05])


def test_a_folder_with_other_metadata_is_no_bag(tmp_path):
    (tmp_path / "metadata.yaml").write_text("title: a data set\n")
    write(tmp_path / "a.npz", TrajectorySet([Trajectory(np.arange(3), np.ones(3))]))
    assert read(tmp_path)[0].q[0] == 1


def test_joints_are_ordered_as_in_the_first_message(bag):
    first, *_ = states(1, start=0)
    others = states(3, start=STEP, joints=("lift", "pan"))
    found = read(bag(first, *others))
    assert found.joints == ("pan", "lift")
    np.testing.assert_allclose(found[0].q[:, 0], [0, 1, 1.01, 1.02])


def test_joints_of_other_messages_are_gaps_and_can_be_left_out(bag):
    arm, gripper = states(5, start=0), states(5, start=STEP // 2, joints=("finger",))
    path = bag(*(each for pair in zip(arm, gripper, strict=True) for each in pair))
    with pytest.raises(DataError, match=r"no two consecutive rows.*--data.merge interpolate"):
        read(path)
    found = read(path, columns={"q": "position_*t", "tau": "effort_*t"})
    assert found.joints == ("lift",)
    assert found.fields == ("t", "q", "tau")
    assert read(path, merge="interpolate").joints == ("pan", "lift", "finger")


def test_quantities_that_were_not_recorded_are_left_out(bag):
    def one(i, velocity, effort):
        return message(i * STEP, ("pan",), [i], velocity, effort)

    nan = [float("nan")]
    with pytest.warns(ReadWarning, match="effort is nan in every message and was left out"):
        assert read(bag(*(one(i, [], nan) for i in range(1, 4)))).fields == ("t", "q")


def test_a_joint_without_effort_is_named(bag):
    messages = [
        message(i * STEP, ("pan", "hand"), [i, i], [], [i, np.nan]) for i in range(1, 4)
    ]
    with pytest.raises(DataError, match="effort of hand is nan in every message; choose col"):
        read(bag(*messages))


def test_messages_in_disorder_are_sorted(bag):
    a, b, c, d = states(4, start=0)
    with pytest.warns(ReadWarning, match="1 messages were recorded out of order"):
        (found,) = read(bag(a, c, b, d))
    np.testing.assert_allclose(found.q[:, 0], [0, 0.01, 0.02, 0.03])


@pytest.mark.filterwarnings("ignore::lagdyna.data.ReadWarning")
def test_messages_without_stamps_or_names_are_read(bag):
    messages = [message(0, (), [i], [i], [i]) for i in range(4)]
    with pytest.warns(ReadWarning, match="messages have no time stamps; the times at which"):
        found = read(bag(*messages))
    np.testing.assert_allclose(found[0].t, 0.008 * np.arange(4))
    assert found.joints is None


@pytest.mark.filterwarnings("ignore::lagdyna.data.ReadWarning")
def test_one_of_several_topics_is_chosen(bag):
    path = bag(**{"/left": states(), "/right": states(joints=("a", "b")), "/tf": []})
    with pytest.raises(DataError, match=r"/left \(6 messages\), /right .*--data.topic /left"):
        read(path)
    with pytest.raises(DataError, match="on the topic '/rigt'; nearest: /right; found /left"):
        read(path, topic="/rigt")
    assert read(path, topic="/right").joints == ("a", "b")


def test_recordings_without_joint_states_are_refused(bag, tmp_path):
    with pytest.raises(DataError, match=rf"no topic of type {TYPE}; found /tf \(tf2_msgs"):
        read(bag(**{"/tf": []}))
    with pytest.raises(DataError, match="d.db3: cannot be read"):
        read(tmp_path / "d.db3")
    (tmp_path / "b.db3").write_bytes(b"SQLite format 3\0" + bytes(200))
    (tmp_path / "c.mcap").write_bytes(b"no MCAP file")
    for name in ("b.db3", "c.mcap"):
        with pytest.raises(DataError, match="not a readable recording of ROS") as caught:
            read(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="message 0 has 1 joints and 2 numbers of position"):
        (tmp_path / "a.db3").unlink()
        read(bag(message(0, ("pan",), [1, 2], [], [])))


def test_the_extra_is_named_where_rosbags_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rosbags.typesys", None)
    path = sqlite_bag(tmp_path / "a.db3", {"/joint_states": states()})
    with pytest.raises(DataError, match=r"a.db3: .* need rosbags, .*'lagdyna\[ros\]'"):
        read(path)


def test_recordings_of_ros_are_not_written(tmp_path):
    recorded = TrajectorySet([Trajectory(np.arange(3), np.zeros(3))])
    with pytest.raises(DataError, match=r"read, not written; .npz, .csv, .h5, .hdf5 are"):
        write(tmp_path / "a.mcap", recorded)
    write(tmp_path / "a.npz", recorded)
    with pytest.raises(DataError, match="`topic` was '/a', and .*a.npz is no recording of ROS"):
        read(tmp_path / "a.npz", topic="/a")
