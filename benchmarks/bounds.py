"""Best returns found for the suite's tasks by plans through their true equations.

    python benchmarks/bounds.py --tasks pendulum acrobot

A plan covers the way up. From its end on, a linear-quadratic regulator holds the chain upright.
The search improves random guesses of the actions by iLQR, in float64, with the reward of the
task as the cost. In each round the best plans go on, first beside new guesses, then beside
variations. Then the cost of the last state is added, the regulator's cost to come. The best
plans and their mirror images are the guesses for each start. The best plan of a start is
followed for a whole episode of the task by time-varying LQR and the regulator, with the action
repeat of an agent. The starts are the first ones of the evaluations of a run with seed 0.

A plan is a local optimum at best, and the planner may end before that. So a return is a lower
bound of the best one. Each task is written to `results/bounds/TASK.json` when it is finished.
Tasks that are there are left out, unless `--again` is given. More `--rounds` search longer.
"""

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from _bounds import STORED, Bound, path_of, read_bound, write_bound
from _common import Parser, machine
from jaxtyping import Array, Float, Scalar

from lagdyna.control import (
    ILQR,
    LQR,
    ActionBox,
    Equilibrium,
    GoalCost,
    Plan,
    PlanStatus,
    RewardCost,
    Tracker,
)
from lagdyna.mechanics import Coordinates, State
from lagdyna.simulate import AbstractTransition, rollout
from lagdyna.tasks import SUITE, SuiteTask, suite_task
from lagdyna.tasks.suite._compiled import episode_key
from lagdyna.training import EVALUATE, start_seeds

LANES = 10  # plans that are improved at once
ITERATIONS = 25  # of the planner, in one round
POLISH = 6  # largest number of rounds of the plans of the starts
ENOUGH = 0.01  # gain of return that ends them
EFFORT = 1e-3  # weight of the regulator's actions, which the reward does not have
ACTIONS = {"pendulum": 150, "reacher": 150}  # of a plan, held as an agent holds them
DEFAULT_ACTIONS = 65


class Held(AbstractTransition):
    """Exact transition of a task over the environment steps of one action."""

    coordinates: Coordinates
    task: SuiteTask
    repeat: int = eqx.field(static=True)

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        return self.paid(state, action)[0]

    def paid(self, state: State, action: Float[Array, " m"]) -> tuple[State, Scalar]:
        """Compute the next state and the sum of the rewards."""

        def body(now: State, _: None) -> tuple[State, Scalar]:
            return self.task.step(now, action)

        end, rewards = jax.lax.scan(body, state, length=self.repeat)
        return end, jnp.sum(rewards)


class Problem(NamedTuple):
    """Task with its planner and the regulator at the top.

    **Attributes:** `steps`, the number of actions of a plan; `solve` improves one guess for
    each of a batch of starts, with a factor of the cost of the last state; `simulate` makes
    the states of a batch of guesses.
    """

    held: Held
    box: ActionBox
    lqr: LQR
    steps: int
    solve: Any
    simulate: Any

    @classmethod
    def of(cls, name: str, repeat: int, steps: int, iterations: int = ITERATIONS) -> "Problem":
        """Set up the problem of a task."""
        task = suite_task(name)
        held, n = Held(task.system.coordinates, task, repeat), task.n
        box = ActionBox.unit(task.action_size)
        top = Equilibrium(State(jnp.zeros(n), jnp.zeros(n)), jnp.zeros(box.size))

        def lost(x: Array) -> Scalar:
            return repeat * (1 - task.reward(State(x[:n], x[n:])))

        weights = 0.5 * np.asarray(jax.jit(jax.hessian(lost))(jnp.zeros(2 * n)))
        weights = 0.5 * (weights + weights.T) + 1e-6 * np.eye(2 * n)
        lqr = LQR.design(held, top, box, state_weights=weights, action_weights=EFFORT)
        to_come = GoalCost(top, held.coordinates, final_weights=np.asarray(lqr.value))
        planner = ILQR(box, iterations=iterations, lengths=6, regularisation=1e-2)

        def solve(start: State, actions: Array, states: State, factor: Scalar) -> Plan:
            # Of the beginning of each action; see `promised`.
            cost = RewardCost(
                lambda state, action: -lost(jnp.concatenate(state)),
                lambda state: -factor * to_come.final(state),
            )
            return planner.solve(held, cost, start, actions, states)

        def simulate(start: State, actions: Array) -> State:
            return rollout(held, start, actions)

        solve_all = eqx.filter_jit(jax.vmap(solve, (0, 0, 0, None)))
        return cls(held, box, lqr, steps, solve_all, eqx.filter_jit(jax.vmap(simulate)))


class Guesses(NamedTuple):
    """Actions of a batch of plans, and their states."""

    actions: np.ndarray
    states: State

    @classmethod
    def of(cls, plan: Plan, which: Any) -> "Guesses":
        return cls(*jax.tree.map(lambda x: np.asarray(x)[which], (plan.actions, plan.states)))

    @property
    def mirrored(self) -> "Guesses":
        """The mirror images; the tasks are symmetric about the vertical."""
        return Guesses(*jax.tree.map(lambda x: -x, tuple(self)))


def search(problem: Problem, start: State, rounds: int, seed: int) -> Plan:
    """Search for good plans from one start, and return them in the order of their costs."""
    starts, rng = _repeated(start, LANES), np.random.default_rng(seed)
    guesses = _random(problem, rng, LANES)

    def improved(factor: float) -> Plan:
        states = problem.simulate(starts, guesses)
        plan = problem.solve(starts, guesses, states, jnp.asarray(factor, float))
        order = _order(plan)
        return jax.tree.map(lambda x: x[order], plan)

    for i in range(rounds - 1):
        # The cost of the last state counts more and more, from the middle of the search on.
        plan = improved(float(np.clip(2 * (i + 1) / rounds - 1, 1e-3, 1.0)))
        print(f"  round {i + 1}: {np.asarray(plan.cost)[:4].round(2)}", flush=True)
        early = i < rounds // 2
        best = np.asarray(plan.actions)[: LANES // 4 if early else LANES // 2]
        more = _random(problem, rng, LANES - len(best))
        if not early:
            more = _varied(best, more, rng)
        guesses = np.concatenate([best, np.clip(more, -1, 1)])
    return improved(1.0)


def plans_of_starts(problem: Problem, found: Plan, starts: State, plans: int) -> Plan:
    """Plan from each start: from the best plans of the search, and from their mirror images."""
    first = Guesses.of(found, slice(0, plans))
    images = first.mirrored
    best, count = None, len(starts.q)
    for actions, states in [
        (kind.actions[i], jax.tree.map(lambda x, i=i: x[i], kind.states))
        for i in range(plans)
        for kind in (first, images)
    ]:
        best = _better(
            best,
            _solve(problem, starts, _repeated(actions, count), _repeated(states, count)),
        )
    assert best is not None
    for i in range(POLISH):
        # The plan of the best start is a guess for all, every other time.
        which = np.full(count, np.argmin(_costs(best))) if i % 2 else np.arange(count)
        guesses = Guesses.of(best, which)
        better = _better(best, _solve(problem, starts, guesses.actions, guesses.states))
        gained = np.max(_costs(best) - _costs(better))
        best = better
        if i % 2 and gained < ENOUGH:
            break
    return best


def follow(problem: Problem, plans: Plan, starts: State) -> np.ndarray:
    """Follow the plans for a whole episode each, and return the sums of the rewards."""
    held, box = problem.held, problem.box
    trackers = [
        Tracker.design(
            held,
            # A plan may be followed before it is a local optimum.
            eqx.tree_at(lambda p: p.status, plan, jnp.asarray(int(PlanStatus.CONVERGED))),
            box,
            goal=problem.lqr,
        )
        for plan in (jax.tree.map(lambda x, i=i: x[i], plans) for i in range(len(starts.q)))
    ]
    weights = [eqx.filter(each, eqx.is_array) for each in trackers]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *weights)
    rest = eqx.filter(trackers[0], eqx.is_array, inverse=True)

    def episode(arrays: Any, start: State) -> Scalar:
        tracker = eqx.combine(arrays, rest)

        def body(carry: Any, _: None) -> tuple[Any, Scalar]:
            now, memory = carry
            action, memory = tracker.control(memory, now)
            after, paid = held.paid(now, action)
            return (after, memory), paid

        length = held.task.horizon // held.repeat
        _, paid = jax.lax.scan(body, (start, tracker.init(start)), length=length)
        return jnp.sum(paid)

    return np.asarray(jax.jit(jax.vmap(episode))(stacked, starts))


def promised(problem: Problem, plans: Plan, starts: State) -> np.ndarray:
    """Compute the returns that plans promise.

    Their cost counts the rewards at the beginning of each action, an episode those at the end
    of each environment step. Trapezoids between them differ by the loss of the start.
    """
    held = problem.held
    lost = 1 - np.asarray(jax.vmap(held.task.reward)(starts))
    return held.task.horizon - np.asarray(plans.cost) + (held.repeat + 1) / 2 * lost


def bound(name: str, starts: int, rounds: int, plans: int, seed: int) -> Bound:
    """Find the best returns of a task."""
    entry, began = SUITE[name], time.perf_counter()
    problem = Problem.of(name, entry.repeat, ACTIONS.get(name, DEFAULT_ACTIONS))
    task = problem.held.task
    seeds = jnp.asarray(start_seeds(0, EVALUATE, starts))
    first = jax.jit(jax.vmap(lambda s: task.reset(episode_key(s, jnp.uint32(0)))))(seeds)
    hanging = State(jnp.zeros(task.n).at[int(task.has_cart)].set(jnp.pi), jnp.zeros(task.n))
    found = search(problem, hanging, rounds, seed)
    best = plans_of_starts(problem, found, first, plans)
    returns = follow(problem, best, first)
    mean, error = float(np.mean(returns)), float(scipy.stats.sem(returns))
    half = float(scipy.stats.t.ppf(0.975, starts - 1)) * error
    return Bound(
        task=name,
        repeat=entry.repeat,
        returns=returns.tolist(),
        mean=mean,
        low=mean - half,
        high=mean + half,
        planned=promised(problem, best, first).tolist(),
        converged=int(np.sum(np.asarray(best.converged))),
        actions=problem.steps,
        rounds=rounds,
        seed=seed,
        seconds=round(time.perf_counter() - began, 1),
        machine=machine(),
    )


def _solve(problem: Problem, starts: State, actions: Any, states: Any) -> Plan:
    """Solve for all starts, in batches of one size."""
    count, parts = len(starts.q), []
    one = jnp.ones(())
    for i in range(0, count, LANES):
        which = np.arange(i, i + LANES) % count
        batch = jax.tree.map(
            lambda x, which=which: jnp.asarray(x)[which], (starts, actions, states)
        )
        parts.append(problem.solve(*batch, one))
    return jax.tree.map(lambda *x: jnp.concatenate(x)[:count], *parts)


def _better(old: Plan | None, new: Plan) -> Plan:
    """Choose the plan of lower cost for each start."""
    if old is None:
        return new
    lower = _costs(new) <= _costs(old)
    return jax.tree.map(
        lambda a, b: jnp.where(lower.reshape(-1, *(1,) * (a.ndim - 1)), a, b), new, old
    )


def _costs(plan: Plan) -> np.ndarray:
    """Costs of plans that follow the model; infinite for the others."""
    usable = np.isfinite(plan.cost) & (np.asarray(plan.largest_defect) < 1e-4)
    return np.where(usable, plan.cost, np.inf)


def _order(plan: Plan) -> np.ndarray:
    return np.argsort(_costs(plan))


def _random(problem: Problem, rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw actions that are held for 2 to 20 steps: uniform, full, or small ones in turn."""
    found = []
    for i in range(count):
        hold = int(rng.integers(2, 21))
        values = rng.uniform(-1, 1, (problem.steps // hold + 1, problem.box.size))
        values = (values, np.sign(values), 0.2 * values)[i % 3]
        found.append(np.repeat(values, hold, axis=0)[: problem.steps])
    return np.stack(found)


def _varied(best: np.ndarray, noise: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add noise to half of the plans, and leave some steps out of the others.

    A way up that lost time is shorter without these steps.
    """
    varied = best + rng.uniform(0.05, 0.5, (len(best), 1, 1)) * noise
    for i in range(0, len(best), 2):
        first, left_out = int(rng.integers(0, best.shape[1] // 2)), int(rng.integers(1, 8))
        kept = np.delete(best[i], np.arange(first, first + left_out), axis=0)
        varied[i] = np.concatenate([kept, np.zeros((left_out, best.shape[2]))])
    return varied


def _repeated(tree: Any, count: int) -> Any:
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *np.shape(x))), tree)


def main() -> None:
    """Run the benchmark, print a table, write the results as JSON."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=list(SUITE), default=list(SUITE))
    parser.add_argument("--starts", type=int, default=10, help="number of starts, 2 or more")
    parser.add_argument("--rounds", type=int, default=16, help="rounds of the search")
    parser.add_argument("--plans", type=int, default=1, help="plans tried for each start")
    parser.add_argument("--seed", type=int, default=0, help="seed of the guesses")
    parser.add_argument("--again", action="store_true", help="tasks that are stored, too")
    parser.add_argument("--out", type=Path, default=STORED, help="folder to write to")
    args = parser.parse_args()
    if args.starts < 2 or min(args.rounds, args.plans) < 1 or args.plans > LANES:
        parser.error(
            f"--starts {args.starts} --rounds {args.rounds} --plans {args.plans}: 2 starts or "
            f"more, 1 round or more and 1 to {LANES} plans are accepted"
        )
    jax.config.update("jax_enable_x64", True)
    for name in args.tasks:
        if args.again or not path_of(name, args.out).exists():
            sizes = (args.starts, args.rounds, args.plans, args.seed)
            write_bound(bound(name, *sizes), args.out)
        found = read_bound(name, args.out)
        print(f"{name}: {found.mean:.1f} ({found.low:.1f} to {found.high:.1f})", flush=True)


if __name__ == "__main__":
    main()
