"""Config of recordings: files, angles by name, layouts of observations."""

import tomllib

import pytest

from lagdyna import FitConfig, UserError
from lagdyna.config import DataConfig, LayoutConfig, fit_config, layout_of
from lagdyna.data import ObservationLayout
from lagdyna.options import config_to_toml


@pytest.mark.parametrize(
    ("given", "angles"),
    [
        ("all", "all"),
        (("q0", "q2"), (0, 2)),
        ((0, "2"), (0, 2)),
        ("q1", (1,)),
        ([0], (0,)),
        ((), ()),
    ],
)
def test_angles_by_name_or_index(given, angles) -> None:
    assert fit_config({"data": {"file": "a.csv", "angles": given}}).data.angles == angles


@pytest.mark.parametrize("given", ["theta", ["q"], ["qd0"], ["q-1"]])
def test_unknown_angles_are_refused(given) -> None:
    with pytest.raises(UserError, match=r"`data.angles` was .*; all, or coordinates as 0,2 or"):
        fit_config({"data": {"file": "a.csv", "angles": given}})


@pytest.mark.parametrize("given", [["a.csv", "b.csv"], {"file": ["a.csv", "b.csv"]}])
def test_several_files(given) -> None:
    config = fit_config({"data": given})
    assert config.data.file == ("a.csv", "b.csv")
    assert config.data.title == "a.csv and 1 more"
    assert FitConfig(data=["a.csv", "b.csv"]) == config


def test_data_of_another_type_and_no_data_are_refused() -> None:
    with pytest.raises(UserError, match=r"`data` was an object of type dict; a file, a list"):
        DataConfig.of({"a": 1})  # pyright: ignore[reportArgumentType]
    with pytest.raises(UserError, match="`data.file` is empty"):
        FitConfig(data=[])
    with pytest.raises(UserError, match="`data.test` is empty"):
        DataConfig(file="a.csv", test="")
    with pytest.raises(UserError, match="`data.file` is missing"):
        fit_config({})


@pytest.mark.parametrize(
    ("file", "stem"),
    [("logs/a.csv", "a"), ("logs/*.csv", "logs"), ("logs/", "logs"), ("minari:a/b-v0", "b-v0")],
)
def test_a_run_is_named_after_its_data(file, stem) -> None:
    assert DataConfig(file=file).stem == stem


def test_a_layout_is_that_of_a_task_or_a_table() -> None:
    by_name = fit_config({"data": {"file": "minari:a/b-v0", "layout": "Pendulum-v1"}})
    table = {
        "dt": 0.05,
        "coordinates": [
            {"kind": "angle", "cos": 0, "sin": 1, "velocity": 2, "velocity_range": 8.0}
        ],
    }
    by_table = fit_config({"data": {"file": "minari:a/b-v0", "layout": table}})
    for config in (by_name, by_table):
        layout = config.data.layout
        assert layout is not None
        assert layout.observations == ObservationLayout(q=((0, 1),), qd=(2,), dt=0.05)
        assert layout.angles == (0,)
    assert fit_config(tomllib.loads(config_to_toml(by_name))) == by_name
    assert LayoutConfig.named("acrobot").chain


@pytest.mark.parametrize(
    ("coordinates", "said"),
    [
        ([], "`coordinates` is empty"),
        ([{"kind": "angle", "cos": 0}], "either `position`, or both `cos` and `sin`"),
        ([{"kind": "linear", "cos": 0, "sin": 1}], "a linear coordinate needs `position`"),
        (
            [{"kind": "angle", "position": 0, "velocity": 1}, {"kind": "angle", "position": 2}],
            "some `coordinates` have a `velocity`",
        ),
        (
            [{"kind": "angle", "position": 0, "relative_to": 0}],
            r"`coordinates\[0\].relative_to` was 0",
        ),
    ],
)
def test_a_layout_that_contradicts_itself_is_refused(coordinates, said) -> None:
    layout = {"dt": 0.1, "coordinates": coordinates}
    with pytest.raises(UserError, match=said):
        fit_config({"data": {"file": "minari:a/b-v0", "layout": layout}})


def test_an_unknown_environment_needs_a_layout() -> None:
    with pytest.raises(UserError, match=r"minari:a/b-v0 is of 'Ant-v5', .*--data.layout '\{dt"):
        layout_of("minari:a/b-v0", "Ant-v5")
    with pytest.raises(UserError, match="of an unknown environment"):
        layout_of("minari:a/b-v0", None)
    assert layout_of("minari:a/b-v0", "InvertedPendulum-v5").angles == (1,)
