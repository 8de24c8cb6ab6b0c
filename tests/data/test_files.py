import builtins
import re
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lagdyna.data import DataError, Trajectory, TrajectorySet, read, write
from lagdyna.mechanics import Coordinates

SUFFIXES = (".npz", ".csv", ".h5", ".hdf5")
QUICK = settings(
    max_examples=40,
    deadline=None,
    # All examples share one directory; each overwrites its file.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def need(suffix):
    if suffix in (".h5", ".hdf5"):
        pytest.importorskip("h5py")


@st.composite
def recordings(draw):
    n, m = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    widths = {"q": n, "qd": n, "qdd": n, "tau": n, "action": m}
    optional = draw(st.sets(st.sampled_from(["qd", "qdd", "tau", "action"])))
    finite = st.floats(allow_nan=False, allow_infinity=False)
    found = []
    for rows in draw(st.lists(st.integers(2, 6), min_size=1, max_size=4)):
        t = draw(st.lists(finite, min_size=rows, max_size=rows, unique=True).map(sorted))
        arrays = {
            name: draw(hnp.arrays(np.float64, (rows, width), elements=finite))
            for name, width in widths.items()
            if name == "q" or name in optional
        }
        if "action" in arrays and draw(st.booleans()):
            arrays["action"][-1] = np.nan
        found.append({"t": t, **arrays})
    return found


def assert_same(a, b):
    assert len(a) == len(b)
    assert a.fields == b.fields
    for one, other in zip(a, b, strict=True):
        for name in a.fields:
            # Compare bits, so that NaN equals NaN and -0.0 differs from 0.0.
            x, y = one.arrays[name], other.arrays[name]
            assert x.shape == y.shape
            both_nan = np.isnan(x) & np.isnan(y)
            assert np.array_equal(
                np.where(both_nan, 0, x).view(np.int64), np.where(both_nan, 0, y).view(np.int64)
            )


@pytest.mark.parametrize("suffix", SUFFIXES)
@QUICK
@given(recordings=recordings())
def test_write_and_read_round_trip_bit_by_bit(suffix, recordings, tmp_path):
    need(suffix)
    path = tmp_path / f"data{suffix}"
    trajectories = TrajectorySet([Trajectory(**arrays) for arrays in recordings])
    write(path, trajectories, overwrite=True)
    assert_same(read(path), trajectories)
    assert [x.name for x in tmp_path.iterdir()] == [path.name]


def two(rows=(4, 3)):
    return TrajectorySet(
        [
            Trajectory(
                np.arange(k) * 0.1 + 0.01 * np.arange(k) ** 2,
                np.arange(2.0 * k).reshape(k, 2),
                qd=np.ones((k, 2)),
                action=np.zeros((k, 1)),
            )
            for k in rows
        ]
    )


def read_or_none(path):
    """Read a file, or return `None` if it raises a one-sentence `DataError`."""
    try:
        return read(path, limit_bytes=2**20)
    except DataError as error:
        sentence = str(error)
    assert sentence.startswith(str(path))
    assert "\n" not in sentence
    return None


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(parent=QUICK, max_examples=300)
@given(data=st.data())
def test_a_damaged_file_raises_data_error_or_reads_correctly(suffix, data, tmp_path):
    need(suffix)
    path = tmp_path / f"data{suffix}"
    write(path, two(), overwrite=True)
    content = bytearray(path.read_bytes())
    content = content[: data.draw(st.integers(0, len(content)))]
    for _ in range(data.draw(st.integers(0, 5)) if content else 0):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    found = read_or_none(path)
    if found is not None and suffix != ".csv":  # a .csv file has no checksum
        assert_same(found, two())


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(parent=QUICK, max_examples=100)
@given(content=st.binary(max_size=300))
def test_random_bytes_raise_data_error(suffix, content, tmp_path):
    need(suffix)
    path = tmp_path / f"data{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(str(path))):
        read(path)


@settings(parent=QUICK, max_examples=200)
@given(
    cells=st.lists(
        st.lists(
            st.sampled_from(["0", "1", "2.5", "nan", "", "x", "inf", "1j", '"', "1_0", " 3 "]),
            max_size=4,
        ),
        max_size=6,
    )
)
def test_random_tables_raise_data_error_or_read_correctly(cells, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("\n".join(["t,q0,action0", *(",".join(row) for row in cells)]))
    found = read_or_none(path)
    assert found is None or found.fields == ("t", "q", "action")


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def csv(path, text):
    path.write_text(text)
    return path


T = np.arange(3.0)
Q = np.zeros((3, 2))


BAD_ARRAYS = [
    ({"t": T}, r"no array `q`, found 't'; `t` and `q` are required"),
    ({"t": T, "q": Q, "qdot": Q}, r"unknown array 'qdot'; .* qd, qdd, tau, action"),
    ({"t": T, "q": Q, "qd": Q[:2]}, r"`qd` has 2 rows, but `t` has 3"),
    ({"t": T, "q": Q, "qd": Q[:, :1]}, r"`qd` has 1 columns, but `q` has 2"),
    ({"t": T[[0, 2, 1]], "q": Q}, r"column t, row 2: found 1.0 after 2.0; times must increase"),
    ({"t": T[[0, 1, 1]], "q": Q}, r"column t, row 2: found 1.0 after 1.0"),
    ({"t": T, "q": Q * [1, np.nan]}, r"column q1 is nan in every row; leave out"),
    ({"t": T * np.nan, "q": Q}, r"column t is nan in every row"),
    (
        {"t": T, "q": Q + np.array([0, np.inf])},
        r"column q1, row 0: found inf; finite numbers",
    ),
    ({"t": T, "q": Q.astype(str)}, r"`q` holds strings; real numbers"),
    ({"t": T, "q": Q.astype(object)}, r"`q` holds Python objects; real numbers"),
    ({"t": T, "q": Q + 0j}, r"`q` holds complex numbers; real numbers"),
    ({"t": T, "q": Q > 0}, r"`q` holds booleans; real numbers"),
    ({"t": T[:1], "q": Q[:1]}, r"only one row; a trajectory needs at least two"),
    ({"t": T[:0], "q": Q[:0]}, r"`t` is empty"),
    ({"t": T, "q": Q[:, :0]}, r"`q` is empty"),
    ({"t": T, "q": Q[None, None]}, r"`q` has shape \(1, 1, 3, 2\); \(rows, columns\)"),
    ({"t": Q, "q": Q[:, :1]}, r"`t` has shape \(3, 2\); \(rows,\)"),
    ({"t": T[:2], "q": Q[None]}, r"`t` has shape \(2,\), and `q` has \(1, 3, 2\), 1 epi"),
    ({"t": T, "q": Q[None], "qd": Q}, r"`qd` has .*\(episodes, time, columns\) is accepted"),
    ({"t": T, "q": Q[None], "lengths": np.array([4])}, r"`lengths`, row 0: found 4; 2 to 3"),
    ({"t": T, "q": Q[None], "lengths": np.array([2, 2])}, r"`lengths` .* 1 integers"),
    ({"t": T, "q": Q, "lengths": np.array([1, 2])}, r"`lengths`, row 0: found 1"),
    ({"t": T, "q": Q, "lengths": np.array([2, 2])}, r"`t` has shape \(3,\), but .* 4"),
    ({"t": T, "q": Q, "lengths": np.array([1.5])}, r"`lengths` has .* float64"),
]


@pytest.mark.parametrize(("arrays", "sentence"), BAD_ARRAYS)
def test_invalid_arrays_raise_one_sentence(arrays, sentence, tmp_path):
    path = npz(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError, match=sentence) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("arrays", "sentence"), [bad for bad in BAD_ARRAYS if "lengths" not in bad[0]]
)
def test_invalid_hdf5_data_sets_raise_one_sentence(arrays, sentence, tmp_path):
    path = tmp_path / "bad.h5"
    with pytest.importorskip("h5py").File(path, "w") as file:
        for name, x in arrays.items():
            # HDF5 stores neither NumPy's Unicode strings nor Python objects.
            file[name] = x.astype("S") if x.dtype.kind in "OU" else x
    with pytest.raises(
        DataError, match=sentence.replace("Python objects", "strings")
    ) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"empty"),
        ("\n\n", r"empty; a line of column names"),
        ("t,q0\n", r"no line after the column names"),
        ("t,x\n0,1\n1,2\n", r"unknown column 'x'; accepted columns: trajectory, t"),
        ("t,qd0\n0,1\n1,2\n", r"no column 'q0'"),
        ("q0\n0\n1\n", r"no column 't'"),
        ("t,q0,q2\n0,1,1\n", r"no column 'q1', but there is a 'q2'"),
        ("t,q0,q0\n0,1,1\n", r"column 'q0' appears twice"),
        ("t,q0\n0,1\n1,2,3\n", r"line 3 has 3 cells, but the first line names 2 columns"),
        ("t,q0\n0,1\n\n1,abc\n", r"column q0, line 4: found 'abc'; real numbers"),
        ("t,q0\n0,1\n1,1+2j\n", r"column q0, line 3: found '1\+2j'"),
        ("t,q0\n0,1\n1,1_0\n", r"column q0, line 3: found '1_0'"),
        ("t,q0\n0,1\n1,inf\n", r"column q0, line 3: found inf"),
        ("t,q0\n0,1\n1,2\n1,3\n", r"line 4: found 1.0 after 1.0.*--data.duplicates drop"),
        ("t,q0\n0,1\n9,2\n8,3\n", r"line 4: found 8.0 after 9.0; .* column `trajectory`"),
        ("t,q0\n0,nan\n1,\n", r"column q0 is nan in every row"),
        ("t,q0\n0,1\n", r"only one row"),
        ("t,q0\n0,1\n1,nan\n2,nan\n", r"no two consecutive rows without nan.*data.merge"),
        ("trajectory,t,q0\n0,0,1\n0,1,1\n1,0,1\n", r"trajectory 1: only one row"),
        (
            "trajectory,t,q0\n0,0,1\n0,1,1\n1,0,1\n1,1,1\n0,2,1\n0,3,1\n",
            r"column trajectory, line 6: 0 appears again",
        ),
        ("trajectory,t,q0\n0.5,0,1\n0.5,1,1\n", r"column trajectory, line 2: found 0.5"),
        ("trajectory,t,q0\nnan,0,1\nnan,1,1\n", r"column trajectory, line 2: found nan"),
        ("trajectory,trajectory,t,q0\n0,0,0,1\n", r"'trajectory' appears twice"),
        ("t,q0\n0," + "1" * 2_000_000, r"line 2 is longer than 1000000 characters"),
    ],
)
def test_invalid_tables_raise_one_sentence(text, sentence, tmp_path):
    path = csv(tmp_path / "bad.csv", text)
    with pytest.raises(DataError, match=sentence) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


def test_a_spreadsheet_table_is_read(tmp_path):
    text = '\ufeff"t"; "q0"\r\n'.replace(";", ",") + '0,"1"\r\n\r\n 0.5 ,2\r\n'
    path = tmp_path / "data.CSV"
    path.write_bytes(text.encode())
    (trajectory,) = read(path)
    assert trajectory.t.tolist() == [0, 0.5]
    assert trajectory.q.tolist() == [[1], [2]]


def test_columns_may_have_any_order(tmp_path):
    path = csv(tmp_path / "data.csv", "qd1,q1,t,q0,qd0\n4,2,0,1,3\n4,2,1,1,3\n")
    (trajectory,) = read(path)
    assert trajectory.q[0].tolist() == [1, 2]
    assert trajectory.qd is not None
    assert trajectory.qd[0].tolist() == [3, 4]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_gaps_split_a_trajectory(suffix, tmp_path):
    need(suffix)
    t = np.arange(14.0)
    q = np.where((t >= 3) & (t < 9), np.nan, t)
    path = tmp_path / f"gap{suffix}"
    if suffix == ".csv":
        csv(path, "t,q0\n" + "".join(f"{a},{b}\n" for a, b in zip(t, q, strict=True)))
    elif suffix == ".npz":
        npz(path, t=t, q=q)
    else:
        with pytest.importorskip("h5py").File(path, "w") as file:
            file["t"], file["q"] = t, q
    assert [x.t.tolist() for x in read(path)] == [[0, 1, 2], [9, 10, 11, 12, 13]]


def test_groups_are_read_in_natural_order(tmp_path):
    path = tmp_path / "data.h5"
    with pytest.importorskip("h5py").File(path, "w") as file:
        for i in (10, 9):
            file[f"run_{i}/t"] = np.arange(2.0) + i
            file[f"run_{i}/q"] = np.zeros((2, 1), np.float32)
    assert [x.t[0] for x in read(path)] == [9, 10]


def test_hdf5_of_another_layout_raises_one_sentence(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["run/t"] = T
        file["run/q"] = Q
        file["t"] = T
    with pytest.raises(DataError, match="arrays 't' beside groups"):
        read(path)
    with h5py.File(path, "w") as file:
        file["run/t"] = T
        file.create_group("run/q")
    with pytest.raises(DataError, match="group 'run': 'q' is not an array"):
        read(path)
    with h5py.File(path, "w") as file:
        for name, columns in (("a", 1), ("b", 2)):
            file[f"{name}/t"], file[f"{name}/q"] = T, np.zeros((3, columns))
    with pytest.raises(DataError, match=r"trajectory 1 has .* but trajectory 0 has"):
        read(path)


def test_a_truncated_hdf5_file_raises_one_sentence(tmp_path):
    pytest.importorskip("h5py")
    path = tmp_path / "data.h5"
    write(path, two())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"data.h5: not a readable HDF5 file .*truncated"):
        read(path)


def test_missing_h5py_raises_one_sentence(tmp_path, monkeypatch):
    real = builtins.__import__

    def without_h5py(name, *args, **kwargs):
        if name == "h5py":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_h5py)
    with pytest.raises(DataError, match=r"pip install 'lagdyna\[hdf5\]'"):
        write(tmp_path / "data.h5", two())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_over_the_memory_limit_is_refused(suffix, tmp_path):
    need(suffix)
    path = tmp_path / f"data{suffix}"
    write(path, two((2000, 2000)))
    with pytest.raises(
        DataError, match=r"take \d+ bytes in memory and the limit is 9999 bytes"
    ):
        read(path, limit_bytes=9999)
    assert read(path, limit_bytes=250_000).rows == 4000


def test_a_decompression_bomb_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "data.npz"
    header = b"\x93NUMPY\x01\x00v\x00" + (
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (2000000000, 1), }".ljust(117)
        + b"\n"
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("t.npy", header)
        archive.writestr("q.npy", header)
    with pytest.raises(DataError, match=r"29.8 GiB in memory and the limit is 2 GiB"):
        read(path)


def test_an_existing_file_is_overwritten_only_on_request(tmp_path):
    path = tmp_path / "data.npz"
    write(path, two())
    with pytest.raises(DataError, match="already exists; pass `overwrite=True`"):
        write(path, two((2,)))
    assert_same(read(path), two())
    write(path, two((2,)), overwrite=True)
    assert_same(read(path), two((2,)))


def test_a_failed_write_leaves_no_partial_file(tmp_path, monkeypatch):
    path = tmp_path / "data.npz"
    write(path, two())

    def full(file, array, allow_pickle):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(DataError, match=r"cannot be written .*No space left"):
        write(path, two((2,)), overwrite=True)
    assert [x.name for x in tmp_path.iterdir()] == ["data.npz"]
    assert_same(read(path), two())


def test_invalid_paths_raise_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"cannot be read .*No such file"):
        read(tmp_path / "data.npz")
    with pytest.raises(DataError, match=r"cannot be written .*No such file"):
        write(tmp_path / "none" / "data.csv", two())
    with pytest.raises(DataError, match=r"unknown file suffix '.mat'; .npz, .csv"):
        read(tmp_path / "data.mat")
    (tmp_path / "empty.h5").touch()
    with pytest.raises(DataError, match="empty"):
        read(tmp_path / "empty.h5")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"a folder without recordings"):
        read(tmp_path / "folder.csv")
    with pytest.raises(DataError, match="`layout` is missing"):
        read("minari:some/data-v0")


def test_the_number_of_coordinates_is_checked(tmp_path):
    path = tmp_path / "data.npz"
    write(path, two())
    with pytest.raises(DataError, match="`q` has 2 columns, but the system has 1"):
        read(path, Coordinates((True,)))
