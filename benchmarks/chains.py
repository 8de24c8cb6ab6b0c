"""Model error of a DeLaN of a planar chain, for two factorisations and two sets of inputs.

    python benchmarks/chains.py --tasks acro3bot cart3pole --seeds 3 --out chains.json

A DeLaN learns a task of the suite from random actions in states drawn uniformly from the
sampling range. Optimiser and sizes are the defaults of `lagdyna train`. Two options are
compared:

- The mass matrix is `F F'`, with `F` upper triangular (the library's choice) or lower
  triangular (Lutter et al. 2019).
- The networks receive the joint angles, or also their cumulative sums.

The error is the norm over the coordinates of the velocity error after one action, in rad/s (m/s
for a cart). The table shows its median over 4,000 other states drawn in the same way, and over
as many states with 0.4 times the velocities. The output is a Markdown table of means over
seeds.
"""

import dataclasses
from statistics import mean

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from _common import arguments, machine, write
from jaxtyping import Array, Float, PRNGKeyArray

from lagdyna.agents import uniform_states
from lagdyna.data import Experience
from lagdyna.learners import GradientLearner, OneStepLoss, fit, make_optimiser, step_scale
from lagdyna.mechanics import Coordinates, Limits, State, linalg
from lagdyna.models import DeLaN
from lagdyna.models._triangular import triangular
from lagdyna.parts import DeLaNConfig, SolverConfig
from lagdyna.simulate import AbstractTransition
from lagdyna.tasks import SUITE, Plant, TaskSpec, get_task, suite_task
from lagdyna.training._compiled import _hold

TESTED, SLOWLY = 4000, 0.4


class LowerDeLaN(DeLaN):
    """DeLaN whose mass matrix is the product of a lower triangular factor and its transpose."""

    def __init__(self, coordinates: Coordinates, key: PRNGKeyArray):
        super().__init__(coordinates, key=key)

    def mass_factor(self, q: Float[Array, " n"]) -> Float[Array, "n n"]:
        entries = self.factor_network(self.coordinates.embed(q))
        return triangular(entries, self.coordinates.n, self.shift, self.min_diagonal)

    def forward_dynamics(
        self, q: Float[Array, " n"], qd: Float[Array, " n"], tau: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        factor, bias = self._factor_and_bias(q, qd)
        return linalg.cholesky_solve(factor, tau - bias)


def done(spec: TaskSpec, name: str, states: State, key: PRNGKeyArray) -> Experience:
    """Simulate one random action from each state, of shapes `(rows, n)`."""
    task, rows = suite_task(name), states.q.shape[0]
    actions = jax.random.uniform(key, (rows, spec.action_size), minval=-1.0)
    held = jnp.asarray(spec.repeat)
    hold = jax.vmap(lambda s, a: _hold(task, s, a, spec.repeat, held))
    after, rewards = hold(states, actions)
    return Experience(states, actions, rewards, after, jnp.zeros(rows, bool))


def drawn(spec: TaskSpec, name: str, rows: int, speed: float, key: PRNGKeyArray) -> Experience:
    """Simulate random actions from `rows` uniform states, velocities scaled by `speed`."""
    state_key, action_key = jax.random.split(key)
    states = uniform_states(state_key, rows, Limits(*spec.reach))
    return done(spec, name, State(states.q, speed * states.qd), action_key)


def untrained(spec: TaskSpec, lower: bool, key: PRNGKeyArray) -> AbstractTransition:
    """Build the untrained transition of a run, with fine substeps and one of the factors."""
    solver = SolverConfig(substeps=max(spec.repeat, spec.substeps))
    transition = DeLaNConfig().build(Plant.of_task(spec), solver, key)
    if lower:
        body = LowerDeLaN(spec.joint_coordinates, key=key)
        transition = eqx.tree_at(lambda t: t.field.system.lagrangian, transition, body)
    return transition


@eqx.filter_jit
def error(transition: AbstractTransition, data: Experience) -> Array:
    """Compute the median over rows of the norm of the velocity error."""
    after = transition.steps(data.state, data.action)
    return jnp.median(jnp.linalg.norm(after.qd - data.next_state.qd, axis=-1))


def errors(
    name: str, lower: bool, chain: bool, rows: int, updates: int, seed: int
) -> list[float]:
    """Train a model and compute its errors at full and at reduced velocities."""
    spec = dataclasses.replace(get_task(name), chain=chain)
    keys = jax.random.split(jax.random.key(seed), 5)
    data = drawn(spec, name, rows, 1.0, keys[0])
    transition = untrained(spec, lower, keys[1])
    loss = OneStepLoss(step_scale(data, spec.state_coordinates))
    rate = optax.cosine_decay_schedule(3e-3, updates, 0.01)
    learner = GradientLearner(make_optimiser("adam", rate, 100.0), loss)
    found = fit(transition, learner, data, key=keys[2], steps=updates).model
    tests = [
        drawn(spec, name, TESTED, speed, key)
        for speed, key in zip((1.0, SLOWLY), keys[3:], strict=True)
    ]
    return [float(error(found, test)) for test in tests]


def main() -> None:
    """Run the benchmark, print a table, write the results as JSON."""
    parser = arguments(__doc__, "chains.json")
    chains = [name for name, entry in SUITE.items() if entry.links > 1]
    parser.add_argument("--tasks", nargs="+", choices=chains, default=["acro3bot", "cart3pole"])
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--rows", type=int, default=1500, help="number of training actions")
    parser.add_argument("--updates", type=int, default=10_000, help="updates of a model")
    args = parser.parse_args()
    about, results = machine(), []
    print("| task | triangle | networks see | error | at two fifths of the speed |")
    print("|---|---|---|---|---|")
    for name in args.tasks:
        for lower in (True, False):
            for chain in (False, True):
                options = (name, lower, chain, args.rows, args.updates)
                seeds = [errors(*options, seed) for seed in range(args.seeds)]
                triangle, sees = (
                    "lower" if lower else "upper",
                    "sums too" if chain else "angles",
                )
                fast, slow = zip(*seeds, strict=True)
                results.append(
                    {"task": name, "triangle": triangle, "sums": chain, "error": fast}
                    | {"slow_error": slow}
                )
                row = f"| {name} | {triangle} | {sees} | {mean(fast):.2f} | {mean(slow):.2f} |"
                print(row, flush=True)
    write(args.out, {**about, **vars(args), "out": str(args.out), "results": results})


if __name__ == "__main__":
    main()
