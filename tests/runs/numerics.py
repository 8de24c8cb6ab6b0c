"""The first numbers of small runs at the present version of the numerics.

Runs in `results/` are averaged if their `NUMERICS` agree, so a change of what a config and a
seed compute must raise it. These numbers notice such a change. Processors and compilers round
differently, and later numbers of a run grow apart, so only the first line of metrics is
compared, to a thousandth.
"""

from pathlib import Path

import pytest

from lagdyna.results import NUMERICS

from .watch import records_of

VERSION = 1
NUMBERS = {
    "imagination": {
        **{"train_return": -175.03227, "eval_return_mean": -154.92829},
        **{"model_loss": 0.4898411, "reward_loss": 1.299939, "actor_loss": 1.784065},
        **{"critic_loss": 1.768384, "entropy": 0.5624903, "imagined_reward": -8.603273},
    },
    "dyna": {
        **{"train_return": 0.006821228, "eval_return_mean": 0.05282693},
        **{"model_loss": 0.4970654, "reward_loss": 0.872835, "critic_loss": 0.4864348},
        **{"entropy": 0.5570052, "value": 0.1159015},
    },
    "model-free": {
        **{"train_return": 0.006520882, "eval_return_mean": 0.2192539},
        **{"value": -0.02936194},
    },
}


def same_numbers(name: str, run: Path) -> None:
    """Assert that the first numbers of a run are those of the present version."""
    first = records_of(run)[0]
    found = {key: first[key] for key in NUMBERS[name]}
    assert NUMERICS == VERSION, "store the numbers of the new version here, and raise VERSION"
    assert found == pytest.approx(NUMBERS[name], rel=1e-3), (
        "a config and a seed compute other numbers than before; if that is meant, raise "
        "NUMERICS in lagdyna/results/_run_file.py, and store the new numbers here"
    )
