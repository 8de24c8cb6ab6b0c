"""The command `lagdyna check-task`."""

import json

TASK = """
[task]
env_id = "Pendulum-v1"
dt = {dt}
force = [[2.0]]
[[task.coordinates]]
kind = "angle"
cos = 0
sin = 1
velocity = 2
velocity_limit = 8.0
"""


def test_a_right_description_has_exit_code_0(here):
    done = here("check-task", "Pendulum-v1", "--out", "checked")
    assert done.returncode == 0
    assert "0 wrong, 0 warnings" in done.stdout
    assert "cos, sin" in done.stdout


def test_a_wrong_description_has_exit_code_1_and_says_what_to_do(here, tmp_path):
    (tmp_path / "own.toml").write_text(TASK.format(dt=0.5))
    done = here("check-task", "own.toml", "--steps", "60", "--out", "checked")
    assert done.returncode == 1
    assert "1 wrong" in done.stdout
    findings = json.loads((tmp_path / "checked" / "check_task.json").read_text())
    (wrong,) = [each for each in findings if each["verdict"] == "wrong"]
    assert "`dt = 0.05" in wrong["advice"]
    (tmp_path / "own_place.py").write_text(
        "import gymnasium\n"
        "place = 'gymnasium.envs.classic_control.pendulum:PendulumEnv'\n"
        "gymnasium.register('Own-v0', place, max_episode_steps=200)\n"
    )
    place = ["--task.env_id", "own_place:Own-v0"]
    assert here("check-task", "own.toml", "--task.dt", "0.05", *place).returncode == 0


def test_mistakes_are_one_sentence(here):
    for arguments, said in (
        (["Pendulun-v1"], "`task` was 'Pendulun-v1'"),
        (["missing.toml"], "missing.toml"),
        (["Pendulum-v1", "--steps", "0"], "`steps` was 0"),
    ):
        done = here("check-task", *arguments)
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_train_refuses_a_wrong_description_and_names_the_command(here, tmp_path):
    (tmp_path / "own.toml").write_text(TASK.format(dt=0.5))
    done = here("train", "--config", "own.toml", "--out", "run")
    assert done.returncode == 2
    assert "`lagdyna check-task`" in done.stderr
    assert "`task.unchecked = true`" in done.stderr
    assert not (tmp_path / "run").exists()
