from collections.abc import Callable
from typing import ClassVar

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jaxtyping import Array, Float, PyTree

from ..mechanics import MechanicalSystem, State

# Diffrax's own type of times, which includes NumPy's scalars.
RealScalarLike = float | int | Array | np.ndarray


class MechanicalTerm(dfx.AbstractTerm):
    """A mechanical system as a Diffrax term that knows its Lagrangian.

    Any solver of ordinary differential equations takes it for one;
    [`lagdyna.simulate.VariationalMidpoint`][] takes nothing else. The solver's `y` is a
    `State`, its `args` the action.

    **Arguments:**

    - `system`: a [`lagdyna.mechanics.MechanicalSystem`][].
    """

    system: MechanicalSystem

    def vf(self, t: RealScalarLike, y: State, args: Float[Array, " m"]) -> State:
        del t  # the Lagrangians of this library do not depend on time
        return State(y.qd, self.system.forward_dynamics(y.q, y.qd, args))

    def contr(self, t0: RealScalarLike, t1: RealScalarLike, **kwargs: PyTree) -> RealScalarLike:
        return t1 - t0

    def prod(self, vf: State, control: RealScalarLike) -> State:
        return State(vf.q * control, vf.qd * control)


def _newton() -> optx.AbstractRootFinder:
    # Newton squares its error, so an iterate that moved by the root of the rounding error
    # is at rounding error; asking for less movement may ask for more than there is.
    tolerance = float(jnp.finfo(jnp.result_type(float)).eps) ** 0.5
    return optx.Newton(rtol=tolerance, atol=tolerance)


class VariationalMidpoint(dfx.AbstractImplicitSolver):
    """The implicit variational midpoint rule: second order, symplectic, forces included.

    It makes the sum over steps of `h L((q0 + q1)/2, (q1 - q0)/h)` stationary, as motion
    makes the integral of `L`, with the discrete Lagrange-d'Alembert principle for forces
    (Marsden & West 2001, sections 2.3 and 3.2). With `v = (q1 - q0)/h`, at the midpoint,

        p0 = dL/dqd - h/2 (dL/dq + f),    p1 = dL/dqd + h/2 (dL/dq + f),

    the first solved for `v`, the second then giving the momentum at the end. Energy is
    not conserved at each step but its error stays bounded, however long the rollout; the
    momenta that belong to symmetries are conserved to rounding. How a Lagrangian solves for
    its acceleration affects only the first guess. Steps have to be short against the
    motion, well below a radian each, or there is no root near; a solve that fails gives
    not-a-number.

    **Arguments:**

    - `root_finder`: an Optimistix root finder. Newton's method by default, converged to
        rounding in the precision that is JAX's default when the solver is made.
    - `root_find_max_steps`: the most steps it may take.
    """

    term_structure: ClassVar = MechanicalTerm
    interpolation_cls: ClassVar[Callable[..., dfx.LocalLinearInterpolation]] = (
        dfx.LocalLinearInterpolation
    )

    # Diffrax declares both as abstract, which the type checker takes for class variables.
    root_finder: optx.AbstractRootFinder = eqx.field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default_factory=_newton
    )
    root_find_max_steps: int = 20  # pyright: ignore[reportIncompatibleVariableOverride]

    def order(self, terms: PyTree) -> int:
        return 2

    def init(
        self,
        terms: PyTree,
        t0: RealScalarLike,
        t1: RealScalarLike,
        y0: State,
        args: Float[Array, " m"],
    ) -> None:
        return None

    def func(
        self, terms: PyTree, t0: RealScalarLike, y0: State, args: Float[Array, " m"]
    ) -> State:
        return terms.vf(t0, y0, args)

    def step(
        self,
        terms: PyTree,
        t0: RealScalarLike,
        t1: RealScalarLike,
        y0: State,
        args: Float[Array, " m"],
        solver_state: None,
        made_jump: PyTree,
    ) -> tuple[State, None, dict[str, State], None, dfx.RESULTS]:
        # `diffeqsolve` wraps a term to give time its direction, which `contr` knows of.
        term = terms if isinstance(terms, MechanicalTerm) else terms.term
        system: MechanicalSystem = term.system
        lagrangian, h = system.lagrangian, terms.contr(t0, t1)
        start = lagrangian.momentum(y0.q, y0.qd)

        def midpoint(v: Array) -> tuple[Array, Array]:
            """Momentum at the midpoint, and half of what is gained over the step."""
            q = y0.q + 0.5 * h * v
            slope, momentum = jax.grad(lagrangian.__call__, argnums=(0, 1))(q, v)
            force = system.actuation(q, args) + system.dissipation(q, v)
            return momentum, 0.5 * h * (slope + force)

        def begins_at_start(v: Array, _: None) -> Array:
            momentum, gain = midpoint(v)
            return momentum - gain - start

        # Near enough to the root for a solve to take few steps, and to the right one.
        guess = y0.qd + 0.5 * h * term.vf(t0, y0, args).qd
        middle = self._solve(begins_at_start, guess)
        momentum, gain = midpoint(middle.value)
        q1 = y0.q + h * middle.value

        def ends_at_end(qd: Array, _: None) -> Array:
            return lagrangian.momentum(q1, qd) - (momentum + gain)

        end = self._solve(ends_at_end, 2 * middle.value - y0.qd)
        y1 = State(q1, end.value)
        result = dfx.RESULTS.promote(
            optx.RESULTS.where(
                middle.result == optx.RESULTS.successful, end.result, middle.result
            )
        )
        return y1, None, {"y0": y0, "y1": y1}, None, result

    def _solve(self, residual: Callable[..., Array], guess: Array) -> optx.Solution:
        return optx.root_find(
            residual, self.root_finder, guess, max_steps=self.root_find_max_steps, throw=False
        )
