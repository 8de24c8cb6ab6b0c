"""Integration of a vector field over one control step with any Diffrax solver."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..mechanics import State
from ._variational import MechanicalTerm, VariationalMidpoint
from ._vector_field import AbstractVectorField, LagrangianField, RealScalarLike


def fixed_steps(
    field: AbstractVectorField,
    solver: dfx.AbstractSolver,
    state: State,
    action: Float[Array, " m"],
    dt: float,
    substeps: int,
) -> State:
    """Integrate `field` over `dt` with `substeps` equal steps of `solver`.

    **Returns:** the encoded state after `dt`.
    """
    h = dt / substeps
    if substeps == 1:
        return _step(field, solver, jnp.zeros(()), state, action, h)

    def body(carry: State, i: Array) -> tuple[State, None]:
        return _step(field, solver, i * h, carry, action, h), None

    return jax.lax.scan(body, state, jnp.arange(substeps))[0]


def adaptive_steps(
    field: AbstractVectorField,
    solver: dfx.AbstractSolver,
    state: State,
    action: Float[Array, " m"],
    dt: float,
    rtol: float,
    atol: float,
    max_steps: int,
) -> State:
    """Integrate `field` over `dt` with adaptive steps of `solver`.

    A PID controller chooses the steps to meet `rtol` and `atol`.

    **Returns:** the encoded state after `dt`.

    **Raises:** `EquinoxRuntimeError` if more than `max_steps` steps are needed.
    """
    solution = dfx.diffeqsolve(
        _term(field, solver),
        solver,
        t0=0.0,
        t1=dt,
        dt0=None,
        y0=state,
        args=action,
        stepsize_controller=dfx.PIDController(rtol=rtol, atol=atol),
        max_steps=max_steps,
    )
    assert solution.ys is not None
    return jax.tree.map(lambda y: y[-1], solution.ys)


def _term(field: AbstractVectorField, solver: dfx.AbstractSolver) -> dfx.AbstractTerm:
    """Return the Diffrax term of `field` that `solver` accepts."""
    if isinstance(solver, VariationalMidpoint) and isinstance(field, LagrangianField):
        return MechanicalTerm(field.system)
    # Diffrax may pass `t` as a NumPy scalar, which `jaxtyping.Scalar` excludes.
    return dfx.ODETerm(lambda t, state, action: field(jnp.asarray(t), state, action))


def _step(
    field: AbstractVectorField,
    solver: dfx.AbstractSolver,
    t: RealScalarLike,
    state: State,
    action: Float[Array, " m"],
    h: float,
) -> State:
    """Take one step of length `h`, by the cheapest implementation of `solver`."""
    if isinstance(solver, dfx.SemiImplicitEuler):
        return _semi_implicit_step(field, solver, t, state, action, h)
    tableau = getattr(solver, "tableau", None)
    if isinstance(solver, dfx.AbstractERK) and isinstance(tableau, dfx.ButcherTableau):
        return _explicit_runge_kutta_step(field, tableau, t, state, action, h)
    return _diffrax_step(field, solver, t, state, action, h)


def _explicit_runge_kutta_step(
    field: AbstractVectorField,
    tableau: dfx.ButcherTableau,
    t: RealScalarLike,
    state: State,
    action: Float[Array, " m"],
    h: float,
) -> State:
    """Take one explicit Runge-Kutta step with unrolled stages.

    `solver.step` loops over the stages and stores data for error estimates and dense
    output. Fixed steps need neither, and the compiler can fuse unrolled stages.
    """

    # Rematerialise the stages in the backward pass: in long rollouts, storing and loading
    # them costs more.
    @eqx.filter_checkpoint(prevent_cse=False)
    def step(
        field: AbstractVectorField, t: RealScalarLike, state: State, action: Array
    ) -> State:
        slopes = [field(t, state, action)]
        for row, c in zip(tableau.a_lower, tableau.c, strict=True):
            stage = _add_weighted_slopes(state, h, row, slopes)
            slopes.append(field(t + float(c) * h, stage, action))
        return _add_weighted_slopes(state, h, tableau.b_sol, slopes)

    return step(field, t, state, action)


def _add_weighted_slopes(
    state: State, h: float, weights: np.ndarray, slopes: list[State]
) -> State:
    """Compute `state + h sum_i weights_i slopes_i`."""
    for weight, slope in zip(weights, slopes, strict=True):
        if weight != 0:
            scale = h * float(weight)
            state = State(state.q + scale * slope.q, state.qd + scale * slope.qd)
    return state


def _semi_implicit_step(
    field: AbstractVectorField,
    solver: dfx.SemiImplicitEuler,
    t: RealScalarLike,
    state: State,
    action: Float[Array, " m"],
    h: float,
) -> State:
    """Take one semi-implicit Euler step.

    Update the velocities (or momenta) first, then the positions with the new velocities.
    """
    # Diffrax passes each term only one half of the state. The rate may also depend on the
    # other half, so close over its value before the step.
    terms = (
        dfx.ODETerm(lambda t, q, args: field(jnp.asarray(t), State(q, state.qd), args).qd),
        dfx.ODETerm(lambda t, qd, args: field(jnp.asarray(t), State(state.q, qd), args).q),
    )
    y1, *_ = solver.step(terms, t, t + h, (state.qd, state.q), action, None, False)
    return State(y1[1], y1[0])


def _diffrax_step(
    field: AbstractVectorField,
    solver: dfx.AbstractSolver,
    t: RealScalarLike,
    state: State,
    action: Float[Array, " m"],
    h: float,
) -> State:
    """Take one step with the `step` method of the Diffrax solver."""
    term = _term(field, solver)
    carry = solver.init(term, t, t + h, state, action)
    y1, _, _, _, result = solver.step(term, t, t + h, state, action, carry, False)
    # An implicit solve may fail. Learners skip updates with non-finite values.
    failed = result != dfx.RESULTS.successful
    return jax.tree.map(lambda y: jnp.where(failed, jnp.nan, y), y1)
