import dataclasses
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna import UserError
from lagdyna.config import Config, config_from_table, load_config, override
from lagdyna.options import config_to_toml, parse_value, read_table
from lagdyna.parts import AdamConfig, ImaginationConfig, MultiStepLossConfig, SolverConfig
from lagdyna.simulate import SOLVERS
from lagdyna.tasks import CoordinateSpec, TaskSpec, get_task
from lagdyna.training import Trainer

positive = st.floats(1e-6, 1e6)


@given(
    steps=st.integers(1, 10**9),
    seed=st.integers(0, 2**32),
    hidden=st.lists(st.integers(1, 999), min_size=1, max_size=4).map(tuple),
    rate=positive,
    solver=st.sampled_from(sorted(SOLVERS)),
    window=st.integers(1, 9),
    fraction=st.floats(0, 1),
    capacity=st.none() | st.integers(1, 10**6),
)
def test_a_config_survives_toml(steps, seed, hidden, rate, solver, window, fraction, capacity):
    config = Config(
        steps=steps,
        seed=seed,
        solver=SolverConfig(name=solver),
        learner=AdamConfig(rate=rate),
        loss=MultiStepLossConfig(window=window),
        agent=ImaginationConfig(
            hidden=hidden,
            uniform_starts=fraction,
            high_reward_starts=(1 - fraction) / 2,
            initial_starts=(1 - fraction) / 4,
        ),
    )
    config = dataclasses.replace(
        config, collect=dataclasses.replace(config.collect, capacity=capacity)
    )
    assert config_from_table(tomllib.loads(config_to_toml(config))) == config


def test_a_users_own_task_survives_toml():
    task = TaskSpec(
        env_id="Own-v0",
        coordinates=(
            CoordinateSpec(
                kind="linear", position=0, velocity=2, velocity_range=3.0, position_range=2.0
            ),
            CoordinateSpec(kind="angle", position=1, velocity=3, velocity_limit=9.0),
        ),
        dt=0.01,
        force=((1.0, 0.0), (0.0, 2.5)),
    )
    config = Config(task=task)
    assert config_from_table(tomllib.loads(config_to_toml(config))) == config


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"stesp": 3}, ["`stesp`", "nearest: steps"]),
        ({"agent": {"horizn": 3}}, ["`agent.horizn`", "horizon"]),
        ({"task": {"coordinates": [{"velocty": 1}]}}, ["`task.coordinates[0].velocty`"]),
        ({"steps": 0}, ["`steps` was 0", ">= 1"]),
        ({"steps": -5}, ["`steps` was -5", ">= 1"]),
        ({"steps": 1.5}, ["`steps` was 1.5", "int"]),
        ({"steps": "many"}, ["`steps` was 'many'", "int"]),
        ({"seed": -1}, ["`seed` was -1", ">= 0"]),
        ({"agent": {"rate": 0.0}}, ["`agent.rate` was 0.0", "> 0"]),
        ({"agent": {"rate": float("nan")}}, ["`agent.rate` was nan"]),
        ({"agent": {"discount": 1.0}}, ["`agent.discount` was 1.0", "< 1"]),
        ({"agent": {"uniform_starts": 1.5}}, ["`agent.uniform_starts` was 1.5", "<= 1"]),
        ({"agent": {"hidden": []}}, ["`agent.hidden` was []"]),
        ({"model": {"hidden": [64, 0]}}, ["`model.hidden[1]` was 0"]),
        ({"model": {"name": "delam"}}, ["`model.name` was 'delam'", "nearest: delan"]),
        ({"model": "delam"}, ["`model` was 'delam'", "nearest: delan", "FILE.py:NAME"]),
        ({"model": {"name": "none"}}, ["`model.name` was 'none'", "agent.ratio", "delan"]),
        ({"model": {"name": ["none"]}}, ["`model.name` was ['none']"]),
        ({"learner": {"name": "adma"}}, ["`learner.name` was 'adma'", "nearest: adam"]),
        ({"solver": {"name": "huen"}}, ["`solver` was 'huen'", "nearest: heun", "tsit5"]),
        ({"solver": {"rtol": 1e-3}}, ["`rtol` and `atol`"]),
        (
            {"solver": {"name": "euler", "rtol": 1e-3, "atol": 1e-3}},
            ["'euler'", "does not estimate its error"],
        ),
        ({"model": 3}, ["`model` was 3"]),
        ({"task": "Pendulun-v1"}, ["'Pendulun-v1'", "nearest: Pendulum-v1"]),
        ({"task": "CartPole-v1"}, ["'CartPole-v1'", "Discrete(2)", "continuous"]),
        ({"task": "MountainCarContinuous-v0"}, ["without a description", "[task]"]),
        (
            {"task": {"env_id": "X", "coordinates": [], "dt": 0.1, "force": []}},
            ["coordinates"],
        ),
        (
            {
                "task": {
                    "env_id": "Pendulum-v1",
                    "coordinates": [
                        {"kind": "angle", "position": 0, "velocity": 1, "velocity_range": 1.0}
                    ],
                    "dt": -0.05,
                    "force": [[1.0]],
                }
            },
            ["`task.dt` was -0.05", "> 0"],
        ),
    ],
)
def test_a_mistake_is_named_with_what_is_accepted(table, said):
    with pytest.raises(UserError) as caught:
        config_from_table(table)
    for words in said:
        assert words in str(caught.value)


def test_a_part_is_named_by_one_word_and_set_by_dots():
    table = {"agent": {"horizon": 9}}
    override(table, "solver", "tsit5")
    override(table, "agent.horizon", 12)
    override(table, "steps", 7)
    config = config_from_table(table)
    assert (config.solver.name, config.agent.horizon, config.steps) == ("tsit5", 12, 7)


@pytest.mark.parametrize("table", [{"task": "acrobot"}, {"task": "lagdyna/Acrobot-v0"}])
def test_an_option_of_a_named_task_can_be_overridden(table):
    override(table, "task.repeat", 3)
    task = config_from_table(table).task
    assert task == dataclasses.replace(get_task("acrobot"), repeat=3)


def test_without_a_name_it_is_the_default_task_s_option():
    table = {}
    override(table, "task.substeps", 2)
    assert config_from_table(table).task == dataclasses.replace(Config().task, substeps=2)


def test_the_solver_s_substeps_are_the_task_s_unless_given():
    for asked, expected in ((None, 2), (5, 5)):
        config = config_from_table({"task": "acrobot", "solver": {"substeps": asked}})
        trainer = Trainer(config)
        assert trainer.config.solver.substeps == expected
        transition = trainer.init().world.transition
        assert (transition.substeps, transition.dt) == (expected, pytest.approx(0.04))


def test_an_override_through_a_number_is_refused():
    with pytest.raises(UserError, match=r"`steps.many` was given"):
        override({"steps": 3}, "steps.many", 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("3e-3", 3e-3), ("true", True), ("[8, 8]", [8, 8]), ("tanh", "tanh")],
)
def test_values_of_the_command_line_are_typed(text, value):
    assert parse_value(text) == value


def test_files_that_cannot_be_read_are_named(tmp_path):
    broken = tmp_path / "broken.toml"
    broken.write_text("[agent\n")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "missing.toml", broken, binary, tmp_path):
        with pytest.raises(UserError, match=path.name):
            read_table(path)
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("steps = 0\n")
    with pytest.raises(UserError, match=r"wrong.toml.*`steps` was 0"):
        load_config(wrong)
