"""Files as other programs write them: names, units, separators, runs, rates, episodes."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lagdyna.data import DataError, ReadWarning, Trajectory, TrajectorySet, read, write
from lagdyna.data._assemble import ReadOptions
from lagdyna.mechanics import Coordinates
from lagdyna.tables import factor_of

T = np.linspace(0, 1, 21)
TABLE = np.stack([T, np.sin(T), np.cos(T), 3 * T - 1], axis=1)
NAMES = ("t", "q0", "qd0", "tau0")


def table(path, names=NAMES, rows=TABLE, separator=",", comma=False, second=None):
    """Write a table as some program does."""
    lines = [separator.join(names), *([] if second is None else [separator.join(second)])]
    for row in rows:
        cells = [x if isinstance(x, str) else repr(float(x)) for x in row]
        cells = [x.replace(".", ",") for x in cells] if comma else cells
        lines.append(separator.join(cells))
    path.write_text("\n".join(lines) + "\n")
    return path


def assert_is_table(found, rows=TABLE):
    (trajectory,) = found
    assert found.fields == ("t", "q", "qd", "tau")
    columns = [x.reshape(len(T), 1) for x in trajectory.arrays.values()]
    np.testing.assert_allclose(np.concatenate(columns, axis=1), rows, rtol=1e-15)


@pytest.mark.parametrize(
    ("separator", "comma"),
    [(",", False), (";", False), (";", True), ("\t", True), (" ", False)],
)
def test_separators_and_decimal_commas(separator, comma, tmp_path):
    assert_is_table(read(table(tmp_path / "a.csv", separator=separator, comma=comma)))


def test_a_file_of_numpy_savetxt_is_read(tmp_path):
    np.savetxt(tmp_path / "a.csv", TABLE, header="t q0 qd0 tau0", fmt="%.17g")
    assert_is_table(read(tmp_path / "a.csv"))


def test_commas_and_points_in_one_file_are_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("t;q0\n0.5;1\n1.0;1,234\n")
    with pytest.raises(DataError, match=r"line 3 has a comma and line 2 a point"):
        read(path)


@pytest.mark.parametrize(
    ("names", "second"),
    [
        (NAMES, ("s", "rad", "rad/s", "Nm")),
        (NAMES, ("[s]", "[rad]", "[rad/s]", "[N·m]")),
        (("t [s]", "q0 (rad)", "qd0 [rad/s]", "tau0 [N m]"), None),
        (NAMES, ("", "", "-", "Nm")),
    ],
)
def test_units_may_stand_below_or_in_the_names(names, second, tmp_path):
    assert_is_table(read(table(tmp_path / "a.csv", names, second=second)))


def test_units_are_converted(tmp_path):
    scale = np.array([1e3, 180 / np.pi, 60 / (2 * np.pi), 1e3])
    path = table(tmp_path / "a.csv", rows=TABLE * scale, second=("ms", "deg", "rpm", "mNm"))
    assert_is_table(read(path))


@pytest.mark.parametrize(
    ("unit", "said"),
    [("furlong", r"found 'furlong'; .* units of q are rad, deg"), ("rad/s", "units of q are")],
)
def test_unknown_units_and_units_of_other_quantities_are_refused(unit, said, tmp_path):
    path = table(tmp_path / "a.csv", second=("s", unit, "rad/s", "Nm"))
    with pytest.raises(DataError, match=rf"column q0, line 2: .*{said}"):
        read(path)


def test_foreign_names_are_mapped(tmp_path):
    names = ("time", "shoulder_pos", "shoulder_vel", "shoulder_effort")
    path = table(tmp_path / "a.csv", names)
    with pytest.raises(DataError, match="unknown column 'time'") as caught:
        read(path)
    words = str(caught.value).partition("is which: ")[2].split()
    options = dict(zip(words[0::2], words[1::2], strict=False))
    columns = {key.removeprefix("--data.columns."): name for key, name in options.items()}
    columns.pop("(`columns`")
    assert_is_table(read(path, columns=columns))
    with pytest.raises(DataError, match=r"names 'shoulder' for q0, .* nearest: 'shoulder_"):
        read(path, columns={"t": "time", "q0": "shoulder"})


def test_columns_that_are_not_mapped_are_not_read(tmp_path):
    names = ("t", "frame", "angle", "qd0", "tau0")
    rows = [(t, "arm", *rest) for t, *rest in TABLE]
    assert_is_table(read(table(tmp_path / "a.csv", names, rows), columns={"q0": "angle"}))


def test_arrays_of_npz_are_mapped(tmp_path):
    np.savez(tmp_path / "a.npz", t=T, position=TABLE[:, 1], qd=TABLE[:, 2], other=T)
    with pytest.raises(DataError, match="no array `q`"):
        read(tmp_path / "a.npz")
    found = read(tmp_path / "a.npz", columns={"q": "position"})
    assert found.fields == ("t", "q", "qd")


def test_stacked_runs_are_trajectories(tmp_path):
    path = table(tmp_path / "a.csv", rows=np.concatenate([TABLE, TABLE[:10], TABLE]))
    with pytest.warns(ReadWarning, match="t falls back 2 times, first at line 23"):
        found = read(path)
    assert [x.rows for x in found] == [21, 10, 21]


def test_repeated_times_are_dropped_when_asked(tmp_path):
    rows = np.repeat(TABLE, [1, 2, 3] * 7, axis=0)
    path = table(tmp_path / "a.csv", rows=rows)
    with pytest.raises(DataError, match="duplicates drop"):
        read(path)
    assert_is_table(read(path, duplicates="drop"))
    with pytest.raises(DataError, match="`duplicates` was 'mean'; None and 'drop'"):
        ReadOptions(duplicates="mean").check()  # pyright: ignore[reportArgumentType]


NOTHING = np.nan


def test_columns_of_other_times_are_interpolated_when_asked(tmp_path):
    """Linear columns come out exactly; the action keeps its last value."""
    late = T + 0.01
    a = [(t, 2 * t, NOTHING, NOTHING, NOTHING) for t in T]
    b = [(t, NOTHING, 5 * t, 1 - t, np.floor(10 * t)) for t in late]
    path = table(tmp_path / "a.csv", ("t", "q0", "qd0", "tau0", "action0"), [*a, *b])
    with (
        pytest.warns(ReadWarning, match="t falls back once"),
        pytest.raises(DataError, match=r"no two consecutive rows.*--data.merge interpolate"),
    ):
        read(path)
    (found,) = read(path, merge="interpolate")
    np.testing.assert_allclose(found.t, T[1:])  # the forces begin later
    np.testing.assert_allclose(found.q[:, 0], 2 * T[1:])
    np.testing.assert_allclose(found.qd[:, 0], 5 * T[1:])
    np.testing.assert_allclose(found.tau[:, 0], 1 - T[1:])
    np.testing.assert_allclose(found.action[:, 0], np.floor(10 * late[:-1]))


def test_angles_are_interpolated_on_the_circle(tmp_path):
    angle = np.angle(np.exp(1j * 20 * T))
    rows = [(t, t, NOTHING) for t in T + 0.01]
    rows += [(t, NOTHING, x) for t, x in zip(T, angle, strict=True)]
    path = table(tmp_path / "a.csv", ("t", "q0", "q1"), rows)
    (found,) = read(path, Coordinates((False, True)), merge="interpolate")
    np.testing.assert_allclose(np.exp(1j * found.q[:, 1]), np.exp(20j * found.t), atol=1e-9)


def test_pauses_are_not_interpolated(tmp_path):
    rows = [(t, t, NOTHING) for t in T] + [(t, NOTHING, t) for t in T if not 0.31 < t < 0.69]
    path = table(tmp_path / "a.csv", ("t", "q0", "tau0"), rows)
    found = read(path, merge="interpolate")
    np.testing.assert_allclose([(x.t[0], x.t[-1]) for x in found], [(0, 0.3), (0.7, 1)])


@settings(max_examples=30, deadline=None)
@given(kept=hnp.arrays(bool, (3, 12)), data=st.data())
def test_merging_returns_recorded_values_at_recorded_times(kept, data, tmp_path_factory):
    """A value that was recorded at a time of the result is in the result."""
    values = data.draw(hnp.arrays(np.float64, (3, 12), elements=st.floats(-9, 9)))
    t, table_ = np.arange(12.0), np.where(kept, values, np.nan)
    path = tmp_path_factory.getbasetemp() / "merged.npz"
    np.savez(path, t=t, q=table_[0], qd=table_[1], tau=table_[2])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReadWarning)
            found = read(path, merge="interpolate")
    except DataError as error:
        assert "\n" not in str(error)
        return
    for each in found:
        rows = each.t.astype(int)
        assert kept[0, rows].all()
        for i, name in enumerate(("q", "qd", "tau")):
            known = kept[i, rows]
            assert np.array_equal(each.arrays[name][known, 0], values[i, rows[known]])


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
@pytest.mark.parametrize("times", ["shared", "each", "column"])
@pytest.mark.parametrize("padding", ["none", "lengths", "nan"])
def test_episodes_are_trajectories(suffix, times, padding, tmp_path):
    rng = np.random.default_rng(0)
    q, action = rng.normal(size=(3, 5, 2)), rng.normal(size=(3, 5, 1))
    t = {"shared": np.arange(5.0), "each": np.tile(np.arange(5.0), (3, 1))}
    t["column"] = t["each"][..., None]
    lengths = [5, 5, 5] if padding == "none" else [5, 2, 4]
    arrays = {"t": t[times], "q": q.copy(), "action": action.copy()}
    if padding == "lengths":
        arrays["lengths"] = np.array(lengths)
    if padding == "nan":
        for i, length in enumerate(lengths):
            arrays["q"][i, length:] = arrays["action"][i, length:] = np.nan
    path = tmp_path / f"a{suffix}"
    if suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with pytest.importorskip("h5py").File(path, "w") as file:
            for name, x in arrays.items():
                file[name] = x
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read(path)
    assert [x.rows for x in found] == lengths
    for i, each in enumerate(found):
        assert np.array_equal(each.t, np.arange(lengths[i]))
        assert np.array_equal(each.q, q[i, : lengths[i]])
        assert np.array_equal(each.action, action[i, : lengths[i]])


def test_one_coordinate_may_have_no_axis_of_its_own(tmp_path):
    np.savez(tmp_path / "a.npz", t=np.tile(T, (3, 1)), q=np.zeros((3, 21)))
    assert [x.q.shape for x in read(tmp_path / "a.npz")] == [(21, 1)] * 3


def one(path, value):
    write(path, TrajectorySet([Trajectory(T, value + T)]))
    return path


def first_values(found):
    return [each.q[0, 0] for each in found]


def test_several_files_folders_and_patterns(tmp_path, monkeypatch):
    logs = tmp_path / "logs"
    logs.mkdir()
    for i in (10, 9):
        one(logs / f"run_{i}.csv", i)
    one(logs / "b.npz", 2)
    (logs / "README.md").write_text("not a recording")
    one(logs / ".hidden.csv", 5)
    assert first_values(read(logs)) == [2, 9, 10]
    assert first_values(read(f"{logs}/*.csv")) == [9, 10]
    assert first_values(read([logs / "run_10.csv", str(logs / "b.npz")])) == [2, 10]
    assert first_values(read([logs, f"{tmp_path}/**/*.csv"])) == [2, 9, 10]
    monkeypatch.chdir(tmp_path)
    assert first_values(read(["logs/run_9.csv", "./logs/run_9.csv"])) == [9]


def test_files_of_other_columns_are_refused_by_name(tmp_path):
    a, b = one(tmp_path / "a.csv", 0), table(tmp_path / "b.csv")
    with pytest.raises(DataError, match=rf"^{b} has .*tau \(1\), and {a} has t \(1\), q \(1\)"):
        read([b, a])
    with pytest.raises(
        DataError, match=rf"^{b}: array `q` has 1 columns, but the system has 2"
    ):
        read([b], Coordinates((True, True)))


def test_a_folder_or_pattern_without_files_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a folder without recordings; .npz, .csv"):
        read(tmp_path)
    with pytest.raises(DataError, match=r"\*.csv: no file has such a name"):
        read(f"{tmp_path}/*.csv")
    with pytest.raises(DataError, match="no file was given"):
        read([])
    with pytest.raises(DataError, match=r"a.csv: cannot be read"):
        read(tmp_path / "a.csv")


def test_the_limit_counts_all_files(tmp_path):
    for i in range(3):
        one(tmp_path / f"{i}.npz", i)
    assert len(read(tmp_path, limit_bytes=3 * 2 * 8 * 21)) == 3
    with pytest.raises(DataError, match="and 2 further files: its arrays take"):
        read(tmp_path, limit_bytes=3 * 2 * 8 * 21 - 1)


EPOCH = 1_777_888_800  # 4 May 2026, 10:00 UTC


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        ([f"{EPOCH}{i:03d}000000" for i in (1, 9, 17)], "nanoseconds"),
        ([f"{EPOCH}{i:03d}000" for i in (1, 9, 17)], "microseconds"),
        ([f"{EPOCH}{i:03d}" for i in (1, 9, 17)], "milliseconds"),
        ([f"{EPOCH}.{i:03d}" for i in (1, 9, 17)], "seconds"),
        ([f"2026-05-04T10:00:00.{i:03d}Z" for i in (1, 9, 17)], "seconds"),
        ([f"2026-05-04 12:00:00.{i:03d}+02:00" for i in (1, 9, 17)], "seconds"),
    ],
)
def test_times_since_1970_begin_at_zero(times, unit, tmp_path):
    path = table(tmp_path / "a.csv", ("t", "q0"), [(t, "1.0") for t in times])
    with pytest.warns(ReadWarning, match=rf"{unit} since 1970 .* is 2026-05-04 10:00:00 UTC"):
        (found,) = read(path)
    np.testing.assert_allclose(found.t, [0, 0.008, 0.016], atol=1e-12)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        (["10:00:00.5", "10:00:01.5"], [36000.5, 36001.5]),
        (["1200000000", "1200008000"], [1.2e9, 1.200008e9]),  # microseconds of a clock
        (["0.5", "1.5"], [0.5, 1.5]),
    ],
)
def test_other_times_stay_as_they_are(times, seconds, tmp_path):
    path = table(tmp_path / "a.csv", ("t", "q0"), [(t, "1.0") for t in times])
    assert read(path)[0].t.tolist() == seconds


@pytest.mark.filterwarnings("ignore::lagdyna.data.ReadWarning")
def test_time_stamps_may_have_decimal_commas(tmp_path):
    (tmp_path / "a.csv").write_text(
        "sep=;\nt;q0\n2026-05-04 10:00:00,125;1,5\n2026-05-04 10:00:00,250;2\n"
    )
    (found,) = read(tmp_path / "a.csv")
    assert (found.t.tolist(), found.q[:, 0].tolist()) == ([0, 0.125], [1.5, 2])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "t,q0\n04/05/2026,1\n05/05/2026,2",
            "found '04/05/2026'; .* as 2026-05-04T10:00",
        ),
        ("t,q0\nms,rad\n2026-05-04T10:00Z,1\n", "line 3: found the time stamp .* below a unit"),
        (
            "0,0.5\n1,2",
            "first line holds numbers, 0, 0.5, ...; a first line of",
        ),
        ("t,q0\n0,5,1\n1,0,2", "has 3 cells, .* decimal commas need semicolons or tabs"),
        ("t,q0,tau0\ns,rad,mA\n0,1,2\n1,1,2", "found 'mA'; .* or name the column action0"),
        ("t,q0\ns,ticks\n0,1\n1,1", "found 'ticks'; .* 2 pi over the counts of a turn"),
    ],
)
def test_a_table_that_cannot_be_understood_is_one_sentence(text, said, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=said) as caught:
        read(tmp_path / "a.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "unit", "factor"),
    [
        ("qd0", "rad s^-1", 1),
        ("qd0", "radians/second", 1),
        ("qd0", "deg/sec", np.pi / 180),
        ("qd0", "r/min", np.pi / 30),
        ("qd0", "1/min", np.pi / 30),
        ("qdd0", "rad/s/s", 1),
        ("qdd0", "rad s⁻²", 1),
        ("q0", "mrad", 1e-3),
        ("q0", "Turns", 2 * np.pi),
        ("tau0", "N-m", 1),
        ("tau0", "Newton metre", 1),
    ],
)
def test_spellings_of_units(column, unit, factor):
    assert factor_of("log", column, unit) == pytest.approx(factor)


def test_rows_of_npz_may_be_numbered_by_trajectory(tmp_path):
    labels = np.repeat([3, 1, 2], [5, 7, 9])
    np.savez(tmp_path / "a.npz", t=T, q=T, trajectory=labels)
    assert [x.rows for x in read(tmp_path / "a.npz")] == [5, 7, 9]
    np.savez(tmp_path / "b.npz", t=T, q=T, trajectory=np.where(labels == 1, 1, 0))
    with pytest.raises(DataError, match="`trajectory` returns to a number after another one"):
        read(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", t=T, q=T, trajectory=labels / 2)
    with pytest.raises(DataError, match="`trajectory` has .* a 1-D array of integers"):
        read(tmp_path / "c.npz")
