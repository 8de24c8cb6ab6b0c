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

# Diffrax's type of times. It includes NumPy scalars.
RealScalarLike = float | int | Array | np.ndarray


class MechanicalTerm(dfx.AbstractTerm):
    """Diffrax term of a mechanical system.

    Every Diffrax solver for ordinary differential equations accepts it. The solver
    [`lagdyna.simulate.VariationalMidpoint`][] requires it, because it needs the Lagrangian.
    The solver's `y` is a `State`, and its `args` is the action.

    **Arguments:**

    - `system`: the [`lagdyna.mechanics.MechanicalSystem`][] to simulate.
    """

    system: MechanicalSystem

    def vf(self, t: RealScalarLike, y: State, args: Float[Array, " m"]) -> State:
        del t  # lagdyna's Lagrangians are time-invariant
        return State(y.qd, self.system.forward_dynamics(y.q, y.qd, args))

    def contr(self, t0: RealScalarLike, t1: RealScalarLike, **kwargs: PyTree) -> RealScalarLike:
        return t1 - t0

    def prod(self, vf: State, control: RealScalarLike) -> State:
        return State(vf.q * control, vf.qd * control)


def _default_root_finder() -> optx.AbstractRootFinder:
    """Build Newton's method with tolerances that reach rounding error."""
    # Newton's method converges quadratically. An update of size sqrt(eps) leaves an error
    # of about eps, and smaller updates may be unreachable.
    tolerance = float(jnp.finfo(jnp.result_type(float)).eps) ** 0.5
    return optx.Newton(rtol=tolerance, atol=tolerance)


class VariationalMidpoint(dfx.AbstractImplicitSolver):
    """Implicit variational midpoint rule with forces, symplectic and of second order.

    The rule makes the discrete action, the sum over steps of
    `h L((q0 + q1)/2, (q1 - q0)/h)`, stationary. Forces enter by the discrete
    Lagrange-d'Alembert principle (Marsden & West 2001, sections 2.3 and 3.2). With
    `v = (q1 - q0)/h` and generalised force `f`, both evaluated at the midpoint,

        p0 = dL/dqd - h/2 (dL/dq + f),    p1 = dL/dqd + h/2 (dL/dq + f).

    The first equation is solved for `v`; the second then gives the final momentum `p1`.

    The energy error oscillates but stays bounded over long rollouts. Momenta of symmetries
    are conserved up to rounding error. The Lagrangian's `forward_dynamics` affects only the
    initial guess of the root finder.

    Use steps that move each coordinate by well below a radian. With longer steps the root
    finder may fail to converge, and the transition then returns NaN.

    **Arguments:**

    - `root_finder`: an Optimistix root finder. The default is Newton's method with a
        tolerance of the square root of machine epsilon, in JAX's default precision when the
        solver is created.
    - `root_find_max_steps`: maximum number of root finder steps.
    """

    term_structure: ClassVar = MechanicalTerm
    interpolation_cls: ClassVar[Callable[..., dfx.LocalLinearInterpolation]] = (
        dfx.LocalLinearInterpolation
    )

    # Diffrax declares both fields as abstract; the type checker reads that as class variables.
    root_finder: optx.AbstractRootFinder = eqx.field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default_factory=_default_root_finder
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
        # `diffeqsolve` wraps the term to set the direction of time. Take `h` from the
        # wrapper, since its `contr` includes the direction.
        term = terms if isinstance(terms, MechanicalTerm) else terms.term
        system: MechanicalSystem = term.system
        lagrangian, h = system.lagrangian, terms.contr(t0, t1)
        start = lagrangian.momentum(y0.q, y0.qd)

        def midpoint(v: Array) -> tuple[Array, Array]:
            """Compute the momentum at the midpoint and half of the impulse over the step."""
            q = y0.q + 0.5 * h * v
            dl_dq, momentum = jax.grad(lagrangian.__call__, argnums=(0, 1))(q, v)
            force = system.actuation(q, args) + system.dissipation(q, v)
            return momentum, 0.5 * h * (dl_dq + force)

        def initial_residual(v: Array, _: None) -> Array:
            momentum, half_impulse = midpoint(v)
            return momentum - half_impulse - start

        # An explicit half step is close to the root, so few iterations are needed and the
        # root finder does not converge to another root.
        guess = y0.qd + 0.5 * h * term.vf(t0, y0, args).qd
        middle = self._solve(initial_residual, guess)
        momentum, half_impulse = midpoint(middle.value)
        q1 = y0.q + h * middle.value

        def final_residual(qd: Array, _: None) -> Array:
            return lagrangian.momentum(q1, qd) - (momentum + half_impulse)

        end = self._solve(final_residual, 2 * middle.value - y0.qd)
        y1 = State(q1, end.value)
        result = dfx.RESULTS.promote(
            optx.RESULTS.where(
                middle.result == optx.RESULTS.successful, end.result, middle.result
            )
        )
        return y1, None, {"y0": y0, "y1": y1}, None, result

    def _solve(self, residual: Callable[..., Array], guess: Array) -> optx.Solution:
        """Find a root of `residual` from `guess`, without raising if the solve fails."""
        return optx.root_find(
            residual, self.root_finder, guess, max_steps=self.root_find_max_steps, throw=False
        )
