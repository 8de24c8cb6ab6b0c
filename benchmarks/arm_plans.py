"""Time of plans of one second through the model of a robot arm.

    python benchmarks/arm_plans.py --out arm_plans.json
    python benchmarks/arm_plans.py --robot arm.urdf --joints shoulder elbow

Each plan moves all joints from rest to rest, within the torque limits of the robot description,
in 50 steps of 20 ms. iLQR begins with the torques of a smooth line between the two poses. The
first plan compiles. The others go to other poses with the same program. The default robot is
the Panda with seven joints of the package example-robot-data. Two parts of an
iteration are timed alone: the linear models of all steps, and rollouts of eight lengths of a
step.
"""

import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, machine, milliseconds, seconds, write
from robots import PANDA_JOINTS, default_robot

from lagdyna.control import ILQR, ActionBox, Equilibrium, GoalCost, Plan, linearise
from lagdyna.mechanics import FixedActuation, MechanicalSystem, State, ViscousDissipation
from lagdyna.simulate import LagrangianField, SolvedTransition, rollout
from lagdyna.systems import RobotModel

DT, STEPS = 0.02, 50
READY = (0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785)  # the Panda's usual pose


def arm(robot: RobotModel) -> tuple[MechanicalSystem, ActionBox]:
    """Give a robot motors with the limits of its description, and a little friction."""
    assert robot.description is not None
    efforts = [link.effort for link in robot.description.links]
    limits = tuple(float(x) if np.isfinite(x) else 50.0 for x in efforts)
    n = robot.tree.links
    viscous = ViscousDissipation(jnp.full(n, 0.5))
    motors = FixedActuation(tuple(tuple(row) for row in np.eye(n).tolist()))
    system = MechanicalSystem(robot, robot.coordinates, motors, viscous)
    return system, ActionBox(tuple(-x for x in limits), limits)


def guess(system: MechanicalSystem, start: np.ndarray, end: np.ndarray) -> tuple[State, Any]:
    """Create states along a smooth line, and the torques that they need."""
    t = np.linspace(0, 1, STEPS + 1)[:, None]
    way = (end - start) / (DT * STEPS) ** np.arange(3)[:, None, None]
    q = start + (10 * t**3 - 15 * t**4 + 6 * t**5) * way[0]
    qd = (30 * t**2 - 60 * t**3 + 30 * t**4) * way[1]
    qdd = (60 * t - 180 * t**2 + 120 * t**3) * way[2]
    q, qd, qdd = (jnp.asarray(x, float) for x in (q, qd, qdd))
    return State(q, qd), jax.vmap(system.inverse_dynamics)(q, qd, qdd)[:-1]


def main() -> None:
    """Plan, and time the parts of an iteration."""
    parser = arguments(__doc__, "arm_plans.json")
    parser.add_argument("--robot", type=Path, help="robot description in URDF")
    parser.add_argument("--joints", nargs="+", help="joints that move; by default all")
    parser.add_argument("--plans", type=int, default=5, help="plans after the first")
    options = parser.parse_args()
    joints = options.joints or (None if options.robot else PANDA_JOINTS)
    robot = RobotModel.from_urdf(options.robot or default_robot(), joints=joints)
    system, box = arm(robot)
    n, random = robot.tree.links, np.random.default_rng(0)
    transition = SolvedTransition(LagrangianField(system), robot.coordinates, DT)
    start = np.asarray(READY if n == len(READY) else np.zeros(n))
    first, planner = State(jnp.asarray(start, float), jnp.zeros(n)), ILQR(box)
    plans: list[tuple[float, Plan]] = []
    for _ in range(1 + options.plans):
        end = start + random.uniform(-0.6, 0.6, n)
        rest = State(jnp.asarray(end, float), jnp.zeros(n))
        goal = Equilibrium(rest, system.inverse_dynamics(*rest, jnp.zeros(n)))
        weights = 0.1 / np.asarray(box.upper) ** 2
        cost = GoalCost(goal, robot.coordinates, action_weights=weights, final_weights=100.0)
        states, actions = guess(system, start, end)
        begin = time.perf_counter()
        plan = jax.block_until_ready(planner.solve(transition, cost, first, actions, states))
        plans.append((time.perf_counter() - begin, plan))
    plan = plans[-1][1]
    parts = {
        "linear models": eqx.filter_jit(
            lambda: jax.vmap(lambda s, u: linearise(transition, s, u))(
                jax.tree.map(lambda x: x[:-1], plan.states), plan.actions
            )
        ),
        "rollouts": eqx.filter_jit(
            lambda: jax.vmap(lambda scale: rollout(transition, first, scale * plan.actions))(
                0.5 ** jnp.arange(8.0)
            )
        ),
    }
    result = {
        **machine(),
        "joints": n,
        "first_s": round(plans[0][0], 2),
        "warm_s": [round(took, 3) for took, _ in plans[1:]],
        "converged": [bool(each.converged) for _, each in plans],
        "iterations": [int(each.iterations) for _, each in plans],
        "parts": {name: milliseconds(seconds(each, 20)[1], 1) for name, each in parts.items()},
    }
    print(f"{n} joints, first plan {result['first_s']} s with compilation")
    print(f"warm {result['warm_s']} s, iterations {result['iterations']}")
    print(f"converged {result['converged']}, parts of an iteration {result['parts']}")
    write(options.out, result)


if __name__ == "__main__":
    main()
