from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .._errors import UserError
from ..mechanics import State
from ..simulate import AbstractTransition, rollout
from ._action_box import ActionBox
from ._backward import backward_pass
from ._costs import AbstractCost
from ._plan import Plan, PlanStatus
from ._problem import Iterate, Problem
from ._random_actions import random_actions
from ._vectors import to_vector

T = TypeVar("T")

_LEAST, _MOST = 1e-6, 1e8  # regularisation
_SMALL = 1e-2  # regularisation at which a plan may count as converged
_SUFFICIENT = 1e-4  # part of the predicted decrease that a step must reach


class ILQR(eqx.Module):
    """Iterative LQR with action limits and multiple shooting.

    Gauss-Newton differential dynamic programming: the dynamics are linearised, the costs
    expanded to second order, and a backward pass finds the best change of the actions within
    their limits (Tassa, Mansard & Todorov 2014). States may be guessed apart from the actions.
    Their defects, the gaps between the model's predictions and the guess, shrink with each
    step and vanish with a whole one (Giftthaler et al. 2018; Mastalli et al. 2020).

    Several lengths of a step are simulated at once. The one of the lowest merit, the cost and
    a multiple of the defects, is taken if it lowers the merit. Otherwise the regularisation
    grows. The whole optimisation is one compiled program, and works under `jit` and `vmap`.

    A plan counts as converged if the quadratic model predicts no further decrease, with little
    regularisation, and all defects are below a tolerance. It is then a local optimum.

    **Arguments:**

    - `box`: limits of the actions.
    - `iterations`: largest number of iterations.
    - `tolerance`: predicted decrease, relative to the cost, that counts as none.
    - `defect_tolerance`: largest defect of a plan that converged, rad, m, rad/s and m/s.
    - `lengths`: number of lengths of a step that are tried, each half of the one before.
    - `regularisation`: the first factor of the penalty on changes.

    **Raises:** `ValueError` if an argument is not positive.
    """

    box: ActionBox
    iterations: int = eqx.field(static=True, default=300)
    tolerance: float = eqx.field(static=True, default=1e-5)
    defect_tolerance: float = eqx.field(static=True, default=1e-5)
    lengths: int = eqx.field(static=True, default=8)
    regularisation: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        for name in (
            "iterations",
            "lengths",
            "tolerance",
            "defect_tolerance",
            "regularisation",
        ):
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"`{name}` was {getattr(self, name)}; a positive number is accepted"
                )

    @eqx.filter_jit
    def solve(
        self,
        transition: AbstractTransition,
        cost: AbstractCost,
        start: State,
        actions: Float[Array, "time m"],
        states: State | None = None,
    ) -> Plan:
        """Improve a guess until it converges.

        **Arguments:**

        - `transition`: the model.
        - `cost`: what to minimise.
        - `start`: the first state, shapes `(n,)`.
        - `actions`: guess of the actions, shape `(time, m)`; its length is the horizon.
        - `states`: guess of the states, shapes `(time + 1, n)`. It need not follow the model;
            its first entry is replaced by `start`. By default the rollout of the actions.

        **Raises:** [`lagdyna.UserError`][] if the shapes do not fit, or if the cost is no
        scalar.
        """
        _check(transition, start, actions, self.box)
        problem = Problem(transition, cost, self.box)
        limit, tolerance = jnp.asarray(self.iterations), jnp.asarray(self.tolerance)
        return self._run(
            problem, self._begin(problem, start, actions, states), limit, tolerance
        )

    @eqx.filter_jit
    def search(
        self,
        transition: AbstractTransition,
        cost: AbstractCost,
        start: State,
        steps: int,
        *,
        key: PRNGKeyArray,
        restarts: int = 8,
        screening: int = 40,
        hold: float = 8.0,
    ) -> Plan:
        """Improve many random guesses for some iterations, and the best until it converges.

        The guesses are improved one after another. On a CPU this takes as long as all at once,
        and compiles in half the time. Elsewhere, `jax.vmap` of `solve` may be faster.

        **Arguments:**

        - `transition`, `cost`, `start`: as in `solve`.
        - `steps`: the horizon.
        - `key`: for the guesses.
        - `restarts`: number of guesses.
        - `screening`: largest number of iterations of each guess.
        - `hold`: mean number of steps for which a random action is held.

        **Returns:** the plan; its `iterations` are those after the screening.

        **Raises:** as `solve`; also if `steps` or `restarts` is not positive.
        """
        if steps < 1 or restarts < 1:
            raise UserError(
                f"`steps` was {steps} and `restarts` was {restarts}; 1 or more is accepted"
            )
        guesses = random_actions(key, restarts, steps, self.box, hold, start.q.dtype)
        _check(transition, start, guesses[0], self.box)
        problem = Problem(transition, cost, self.box)

        def body(best: Plan, index: Int[Array, ""]) -> tuple[Plan, None]:
            # The last pass improves the best of the others, by the same program.
            last = index == restarts
            guess = jnp.where(last, best.actions, guesses[index % restarts])
            plan = self._run(
                problem,
                self._begin(problem, start, guess, None),
                jnp.where(last, self.iterations, screening),
                jnp.where(last, self.tolerance, 1e-3),
            )
            better = last | (plan.cost < best.cost) | ~jnp.isfinite(best.cost)
            return jax.tree.map(lambda x, y: jnp.where(better, x, y), plan, best), None

        zero, count = jnp.zeros((), start.q.dtype), jnp.zeros((), jnp.int32)
        states = jax.tree.map(lambda x: jnp.broadcast_to(x, (steps + 1, *x.shape)), start)
        none = Plan(states, guesses[0], zero + jnp.inf, zero, count, count)
        return jax.lax.scan(body, none, jnp.arange(restarts + 1))[0]

    def _run(
        self,
        problem: Problem,
        iterate: Iterate,
        limit: Int[Array, ""],
        tolerance: Float[Array, ""],
    ) -> Plan:
        """Iterate until a plan has converged, or cannot be improved."""
        end = jax.lax.while_loop(
            lambda it: it.status == PlanStatus.RUNNING,
            lambda it: self._iterate(problem, it, limit, tolerance),
            iterate,
        )
        largest = jnp.max(jnp.abs(end.defects))
        return Plan(end.states, end.actions, end.cost, largest, end.iteration, end.status)

    def _begin(
        self,
        problem: Problem,
        start: State,
        actions: Float[Array, "time m"],
        states: State | None,
    ) -> Iterate:
        """Create the first iterate from a guess."""
        actions = self.box.clip(actions)
        if states is None:
            guess = rollout(problem.transition, start, actions)
            defects = jnp.zeros_like(to_vector(guess)[1:])
        else:
            guess = State(states.q.at[0].set(start.q), states.qd.at[0].set(start.qd))
            defects = problem.defects(guess, actions)
        cost = problem.cost_of(guess, actions)
        finite = jnp.isfinite(cost) & jnp.all(jnp.isfinite(defects))
        one = jnp.ones((), cost.dtype)
        return Iterate(
            guess,
            actions,
            defects,
            cost,
            jnp.abs(cost),
            _zeros(problem.expand, guess, actions),
            jnp.ones((), bool),
            0 * one,
            self.regularisation * one,
            one,
            jnp.zeros((), jnp.int32),
            jnp.where(finite, PlanStatus.RUNNING, PlanStatus.NOT_FINITE).astype(jnp.int32),
        )

    def _iterate(
        self,
        problem: Problem,
        it: Iterate,
        limit: Int[Array, ""],
        tolerance: Float[Array, ""],
    ) -> Iterate:
        """Take one step, or refuse all and regularise more."""
        expansion = jax.lax.cond(
            it.moved, lambda: problem.expand(it.states, it.actions), lambda: it.expansion
        )
        lower, upper = self.box.bounds(it.actions)
        linear, stage, final = expansion
        policy = backward_pass(
            linear,
            stage,
            final,
            it.defects,
            (lower - it.actions, upper - it.actions),
            it.regularisation,
        )
        gap, eps = jnp.sum(jnp.abs(it.defects)), jnp.finfo(it.cost.dtype).eps
        small = jnp.maximum(tolerance, 30 * eps) * (jnp.abs(it.cost) + 1e-4 * it.first)
        converged = (
            (jnp.abs(policy.predicted) <= small)
            & (jnp.max(jnp.abs(it.defects), initial=0) <= self.defect_tolerance)
            & (it.regularisation <= _SMALL)
        )

        lengths = 0.5 ** jnp.arange(self.lengths, dtype=it.cost.dtype)
        trials = problem.trials(it, expansion, policy, lengths)
        # The weight of the defects makes the step a direction of descent (Nocedal & Wright
        # 2006, equation 18.36).
        needed = 2 * (trials.linear + 0.5 * trials.quadratic) / jnp.where(gap > 0, gap, 1)
        weight = jnp.where(gap > 0, jnp.maximum(it.weight, needed), it.weight)
        merit = trials.costs + weight * (1 - lengths) * gap
        change = merit - (it.cost + weight * gap)
        predicted = lengths * (trials.linear - weight * gap)
        predicted += 0.5 * lengths**2 * trials.quadratic
        enough = change <= _SUFFICIENT * predicted + 10 * eps * jnp.abs(it.cost)
        enough &= jnp.isfinite(merit)
        best = jnp.argmin(jnp.where(enough, merit, jnp.inf))
        accepted = jnp.any(enough) & ~converged

        growth = jnp.where(accepted, 0.5, 2 * jnp.maximum(it.growth, 1))
        regularisation = jnp.clip(it.regularisation * growth, _LEAST, 2 * _MOST)
        iteration = it.iteration + 1
        status = jnp.where(iteration >= limit, PlanStatus.ITERATIONS, it.status)
        status = jnp.where(regularisation > _MOST, PlanStatus.NO_DESCENT, status)
        status = jnp.where(converged, PlanStatus.CONVERGED, status)

        def choose(new: Array, old: Array) -> Array:
            return jnp.where(accepted, new[best], old)

        states, actions = jax.tree.map(
            choose, (trials.states, trials.actions), (it.states, it.actions)
        )
        return Iterate(
            states,
            actions,
            jnp.where(accepted, (1 - lengths[best]) * it.defects, it.defects),
            choose(trials.costs, it.cost),
            it.first,
            expansion,
            accepted,
            weight,
            regularisation,
            growth,
            iteration,
            status.astype(jnp.int32),
        )


def _zeros(function: Callable[..., T], *arguments: Any) -> T:
    """Return zeros in the shapes of a result, without a second copy of its program."""
    shapes = eqx.filter_eval_shape(function, *arguments)
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)


def _check(
    transition: AbstractTransition,
    start: State,
    actions: Float[Array, "time m"],
    box: ActionBox,
) -> None:
    """Check shapes before anything is compiled."""
    n = transition.coordinates.n
    if actions.shape[0] < 1 or actions.shape[1] != box.size:
        raise UserError(
            f"`actions` has shape {actions.shape}; (time, {box.size}) is accepted, with a time "
            "of 1 or more"
        )
    if {x.shape for x in start} != {(n,)}:
        raise UserError(
            f"`start` has arrays of shapes {start.q.shape} and {start.qd.shape}; ({n},) is "
            "accepted"
        )
