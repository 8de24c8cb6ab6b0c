import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.control import ILQR, ActionBox, Equilibrium, GoalCost

from ..helpers import PENDULUM, state
from .systems import pendulum


@pytest.fixture(scope="session")
def swing_up():
    """A pendulum from hanging, whose motor is too weak to lift it at once."""
    model = pendulum()
    goal = Equilibrium(state(0.0, 0.0), jnp.zeros(1))
    cost = GoalCost(goal, PENDULUM, action_weights=0.01, final_weights=(100.0, 10.0))
    start = state(np.pi, 0.0)
    planner = ILQR(ActionBox.unit(1))
    plan = planner.search(model, cost, start, 60, key=jax.random.key(0), restarts=4)
    return model, cost, start, plan
