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
        **{"train_return": -175.03227, "eval_return_mean": -154.93098},
        **{"model_loss": 0.48132774, "reward_loss": 1.2999394, "actor_loss": 1.7840846},
        **{"critic_loss": 1.7685094, "entropy": 0.56252933, "imagined_reward": -8.6033516},
    },
    "dyna": {
        **{"train_return": -158.82932, "eval_return_mean": -154.31184},
        **{"reward_loss": 0.054648288, "critic_loss": 107.5089},
        **{"entropy": 0.54506111, "value": -0.13768753},
    },
    "model-free": {
        **{"train_return": -160.01131, "eval_return_mean": -153.49032},
        **{"value": -0.11748929},
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
