"""Plans for the score of RealAIGym's leaderboard, and the controller that follows them."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from lagdyna import UserError
from lagdyna.control import (
    ILQR,
    AbstractCost,
    ActionBox,
    IncrementalTransition,
    Plan,
    Quadratic,
)
from lagdyna.mechanics import MechanicalSystem, State
from lagdyna.simulate import LagrangianField, SolvedTransition
from lagdyna.tasks.suite import realaigym

BOX = ActionBox.unit(1)
CHANGES = ActionBox((-0.3,), (0.3,))  # of the action in one step of a plan
# Seconds of a plan. Of 0.5 to 3.5 s, the true equations score highest with these.
SECONDS = {"acrobot": 1.5, "pendubot": 2.0}
COARSE = 0.02  # seconds of a step of the first plans
NORMS = (20.0, 60.0, 20.0, 0.1, 400.0)  # of the score: its tanh(pi c / n)
SOFT = 0.1  # smooths the absolute power, W
EDGE = 0.01  # smooths the goal height, m
FINAL = (30.0, 30.0, 0.01, 1.0, 1.0, 0.0)  # final weights of (q, action, qd, 0)


class ScoreCost(AbstractCost):
    """Weighted sum of the five criteria of the leaderboard, of an incremental transition.

    **Arguments:** `weights`, of swing-up time, energy, torque cost, summed squared changes of
    torque, and velocity cost; `joint`, the driven one; `dt`, seconds of a step.
    """

    weights: Float[Array, " 5"]
    joint: int = eqx.field(static=True)
    dt: float = eqx.field(static=True)

    def criteria(self, state: State, action: Float[Array, " 1"]) -> Float[Array, " 5"]:
        """Compute what one step adds to each criterion."""
        torque, power, change = self._torques(state, action)
        lengths = jnp.asarray(realaigym.LENGTH)
        height = lengths @ jnp.cos(jnp.cumsum(state.q[:2]))
        below = jax.nn.sigmoid((realaigym.GOAL_HEIGHT - height) / EDGE)
        # A change of torque is spread over the steps of the simulator.
        rows = self.dt / realaigym.DT
        criteria = [
            below * self.dt,
            (jnp.sqrt(power**2 + SOFT**2) - SOFT) * self.dt,
            torque**2 * self.dt,
            change**2 / rows,
            state.qd @ state.qd * self.dt,
        ]
        return jnp.stack(criteria)

    def stage(self, state: State, action: Float[Array, " 1"]) -> Scalar:
        return self.weights @ self.criteria(state, action)

    def final(self, state: State) -> Scalar:
        x, _ = _from_upright(state)
        return jnp.asarray(FINAL) @ x**2

    def expand_stage(self, state: State, action: Float[Array, " 1"]) -> Quadratic:
        z = jnp.concatenate([*state, action])
        gradient = jax.grad(lambda z: self.stage(State(z[:3], z[3:6]), z[6:]))(z)
        torque, power, _ = self._torques(state, action)
        axes = jnp.eye(7)
        by_torque = realaigym.TORQUE * (axes[2] + axes[6])
        by_power = state.qd[self.joint] * by_torque + torque * axes[3 + self.joint]
        slopes = jnp.stack([by_power, by_torque, realaigym.TORQUE * axes[6], axes[3], axes[4]])
        _, energy, squared, change, velocity = self.weights
        curvatures = jnp.stack(
            [
                energy * self.dt / jnp.sqrt(power**2 + SOFT**2),
                2 * squared * self.dt,
                2 * change * realaigym.DT / self.dt,
                2 * velocity * self.dt,
                2 * velocity * self.dt,
            ]
        )
        return Quadratic(gradient, slopes.T @ (curvatures[:, None] * slopes))

    def expand_final(self, state: State) -> Quadratic:
        x, slope = _from_upright(state)
        weights = jnp.asarray(FINAL)
        return Quadratic(2 * slope * weights * x, jnp.diag(2 * weights * slope**2))

    def _torques(
        self, state: State, action: Float[Array, " 1"]
    ) -> tuple[Scalar, Scalar, Scalar]:
        """Compute torque, power, and change of torque."""
        torque = realaigym.TORQUE * (state.q[2] + action[0])
        return torque, torque * state.qd[self.joint], realaigym.TORQUE * action[0]


def _from_upright(state: State) -> tuple[Float[Array, " 6"], Float[Array, " 6"]]:
    """Compute the distance from upright, along chords, and its derivative."""
    angles = state.q[:2] / 2
    distance = jnp.concatenate([2 * jnp.sin(angles), state.q[2:], state.qd])
    return distance, jnp.concatenate([jnp.cos(angles), jnp.ones(4)])


def sums_of(cost: ScoreCost, plan: Plan) -> Float[Array, " 5"]:
    """Sum the criteria along a plan."""
    before = jax.tree.map(lambda x: x[:-1], plan.states)
    return jnp.sum(jax.vmap(cost.criteria)(before, plan.actions), axis=0)


def predicted_score(sums: Float[Array, " 5"]) -> tuple[Scalar, Float[Array, " 5"]]:
    """Compute the score, and the criteria with the standard deviation of the changes."""
    deviation = jnp.sqrt(sums[3] / (realaigym.STEPS - 1))
    found = sums.at[3].set(deviation)
    return 1 - jnp.mean(jnp.tanh(jnp.pi * found / jnp.asarray(NORMS))), found


def score_weights(sums: Float[Array, " 5"]) -> Float[Array, " 5"]:
    """Differentiate the penalty by the sums: the weights of the next plan.

    The penalty is concave in the sums, so the plan that these weights find has no lower score.
    """
    sums = sums.at[3].set(jnp.maximum(sums[3], 0.02))  # the root has no slope at 0
    return -jax.grad(lambda s: predicted_score(s)[0])(sums)


class Motion(NamedTuple):
    """Planned swing-up with what it predicts."""

    plan: Plan
    score: float
    criteria: list[float]


def model_step(system: MechanicalSystem, dt: float) -> IncrementalTransition:
    """Build the transition of a model with the last action in its state."""
    solved = SolvedTransition(LagrangianField(system), system.coordinates, dt, solver="bosh3")
    return IncrementalTransition(solved, BOX)


def hanging(like: IncrementalTransition) -> State:
    return like.join(State(jnp.asarray([-jnp.pi, 0.0]), jnp.zeros(2)), jnp.zeros(1))


@eqx.filter_jit
def _improve(
    system: MechanicalSystem,
    robot: str,
    weights: Float[Array, "guesses 5"],
    actions: Float[Array, "guesses time 1"],
) -> tuple[Plan, Float[Array, "guesses 5"]]:
    """Plan from several guesses at once."""
    transition = model_step(system, COARSE)
    planner = ILQR(CHANGES, iterations=60, tolerance=1e-4)

    def one(weights: Array, actions: Array) -> tuple[Plan, Array]:
        cost = ScoreCost(weights, realaigym.DRIVEN[robot], COARSE)
        plan = planner.solve(transition, cost, hanging(transition), actions)
        return plan, sums_of(cost, plan)

    return jax.vmap(one)(weights, actions)


def plan_for_score(
    system: MechanicalSystem,
    robot: str,
    key: PRNGKeyArray,
    *,
    guesses: int = 16,
    rounds: int = 3,
) -> tuple[Plan, Float[Array, " 5"]]:
    """Find the plan of the highest predicted score from random torques.

    **Raises:** `UserError` if no plan ends upright.
    """
    steps, knots = round(SECONDS[robot] / COARSE), 9
    torques = 0.1 * jax.random.normal(key, (guesses, knots))
    at, where = jnp.linspace(0, 1, steps), jnp.linspace(0, 1, knots)
    actions = jax.vmap(lambda y: jnp.interp(at, where, y))(torques)
    actions = jnp.diff(actions, axis=1, prepend=0.0)[..., None]
    sums = jnp.tile(jnp.asarray([1.5, 10.0, 4.0, 0.5, 100.0]), (guesses, 1))
    plans, sums = _improve(system, robot, jax.vmap(score_weights)(sums), actions)
    for _ in range(rounds - 1):
        weights = jax.vmap(score_weights)(sums)
        plans, sums = _improve(system, robot, weights, plans.actions)
    scores = jax.vmap(lambda s: predicted_score(s)[0])(sums)
    end = jax.tree.map(lambda x: x[:, -1], plans.states)
    upright = jax.vmap(lambda s: jnp.max(jnp.abs(_from_upright(s)[0])) < 0.5)(end)
    if not bool(upright.any()):
        raise UserError(f"none of {guesses} plans through the model ends upright")
    best = int(jnp.argmax(jnp.where(upright, scores, -jnp.inf)))
    return jax.tree.map(lambda x: x[best], (plans, sums))


@eqx.filter_jit
def _refine(
    system: MechanicalSystem,
    robot: str,
    weights: Float[Array, " 5"],
    actions: Float[Array, "time 1"],
    states: State,
) -> tuple[Plan, Float[Array, " 5"]]:
    transition = model_step(system, realaigym.DT)
    cost = ScoreCost(weights, realaigym.DRIVEN[robot], realaigym.DT)
    planner = ILQR(CHANGES, iterations=60, tolerance=1e-4, regularisation=1e-3)
    plan = planner.solve(transition, cost, hanging(transition), actions, states)
    return plan, sums_of(cost, plan)


def refine(
    system: MechanicalSystem, robot: str, plan: Plan, sums: Float[Array, " 5"], rounds: int = 2
) -> Motion:
    """Plan again in the steps of the simulator, from a coarse plan."""
    rows = round(COARSE / realaigym.DT)
    steps = plan.actions.shape[0] * rows
    q, qd = (np.array(x) for x in plan.states)
    q[:, :2] = np.unwrap(q[:, :2], axis=0)
    # An action holds for a whole step; its value is that of the middle of the step.
    at = np.arange(steps + 1) / rows
    middle = np.arange(len(q)) - 0.5
    states = [np.stack([np.interp(at, np.arange(len(q)), x) for x in y.T], 1) for y in (q, qd)]
    states[0][:, 2] = np.interp(at - 0.5 / rows, middle, q[:, 2])
    states[0][0, 2] = 0.0
    actions = jnp.asarray(np.diff(states[0][:, 2]))[:, None]
    guess = State(*(jnp.asarray(x) for x in states))
    for _ in range(rounds):
        plan, sums = _refine(system, robot, score_weights(sums), actions, guess)
        actions, guess = plan.actions, plan.states
    score, criteria = predicted_score(sums)
    return Motion(plan, float(score), [float(x) for x in criteria])
