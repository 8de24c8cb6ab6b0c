"""Best returns found for the suite's tasks, and the table that is made of them."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.mechanics import State

TOP = Path(__file__).parents[1]
if not (TOP / "benchmarks").is_dir():
    pytest.skip("benchmarks are part of a clone only", allow_module_level=True)
sys.path.insert(0, str(TOP / "benchmarks"))
stored: Any = importlib.import_module("_bounds")
tables: Any = importlib.import_module("tables")


def made_up(task: str, **changes: Any) -> Any:
    values = {
        **{"task": task, "repeat": 2, "returns": [790.0, 794.0], "mean": 792.0, "low": 770.0},
        **{"high": 814.0, "planned": [790.0, 794.0], "converged": 1, "actions": 5},
        **{"rounds": 3, "seed": 0, "seconds": 41.5, "machine": {"commit": "c0ffee"}},
    }
    return stored.Bound(**{**values, **changes})


def test_the_table_follows_the_stored_returns(tmp_path: Path) -> None:
    def rows() -> dict[str, str]:
        found = tables.Tables(bounds=tmp_path).texts()["suite_bounds"]
        return {line.split(" | ")[0].removeprefix("| "): line for line in found.splitlines()}

    assert rows()["pendulum"].startswith("| pendulum |  |  |  |  |  |  | 787 | 787 |")
    stored.write_bound(made_up("pendulum"), tmp_path)
    assert rows()["pendulum"].startswith(
        "| pendulum | 792.0 | 770.0 to 814.0 | 2 | 1 | 3 | 42 | 787 |"
    )
    entries = tables.Tables(bounds=tmp_path).json()["bounds"]
    assert entries == {"pendulum": {"mean": 792.0, "low": 770.0, "high": 814.0}}
    # The agents' returns are those of the ledger.
    agents = {"cartpole": {"delan": None, "mlp": 896.4}}
    heads, lines = stored.bound_table(agents, tmp_path)
    assert heads[-2:] == ("`delan`", "`mlp`")
    assert [line[-2:] for line in lines if line[0] == "cartpole"] == [["", "896"]]


def test_damaged_returns_are_named(tmp_path: Path) -> None:
    stored.write_bound(made_up("reacher"), tmp_path)
    path = stored.path_of("reacher", tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "mean": "high"}))
    with pytest.raises(UserError, match=r"reacher.json' is damaged: .*mean.*git checkout"):
        stored.read_bound("reacher", tmp_path)


def test_the_stored_means_are_those_of_the_returns() -> None:
    for path in sorted(stored.STORED.glob("*.json")):
        found = stored.read_bound(path.stem)
        assert found.mean == pytest.approx(np.mean(found.returns))
        assert found.low <= found.mean <= found.high
        # The plans promise what the task pays.
        np.testing.assert_allclose(found.returns, found.planned, atol=0.5)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_a_plan_of_the_pendulum_is_paid_what_it_promises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bounds: Any = importlib.import_module("bounds")
    monkeypatch.setattr(bounds, "LANES", 2)
    problem = bounds.Problem.of("pendulum", 2, 20, iterations=10)
    tilted = State(jnp.asarray([0.1]), jnp.zeros(1))
    found = bounds.search(problem, tilted, 2, 0)
    starts = State(jnp.asarray([[0.1], [-0.1]]), jnp.zeros((2, 1)))
    plans = bounds.plans_of_starts(problem, found, starts, 1)
    returns = bounds.follow(problem, plans, starts)
    np.testing.assert_allclose(returns, bounds.promised(problem, plans, starts), atol=5e-3)
    # Without a torque it falls. The two starts are mirror images.
    assert returns.min() > 990
    np.testing.assert_allclose(returns[0], returns[1], atol=1e-3)
