import abc

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..mechanics import Coordinates, State
from ._integrate import adaptive_steps, fixed_steps
from ._solvers import get_solver
from ._variational import VariationalMidpoint
from ._vector_field import AbstractVectorField, LagrangianField


class AbstractTransition(eqx.Module):
    """Discrete-time dynamics: `step(state, action) -> state`.

    Agents use a simulator only through this interface.
    """

    coordinates: eqx.AbstractVar[Coordinates]

    @abc.abstractmethod
    def step(self, state: State, action: Float[Array, " m"]) -> State:
        """Compute the state one control step later.

        **Arguments:**

        - `state`: the current state, shapes `(n,)`.
        - `action`: the action in `[-1, 1]^m`, shape `(m,)`, constant over the step.
        """

    def steps(self, states: State, actions: Float[Array, "batch m"]) -> State:
        """Compute the next states of a batch.

        **Arguments:**

        - `states`: a `State` of shapes `(batch, n)`.
        - `actions`: one action per state, shape `(batch, m)`.

        **Returns:** the next states, shapes `(batch, n)`.
        """
        return jax.vmap(self.step)(states, actions)


class Tolerances(eqx.Module):
    """Error tolerances of adaptive steps.

    **Arguments:**

    - `rtol`, `atol`: relative and absolute tolerance.
    - `max_steps`: maximum number of solver steps within one `dt`. A step that needs more
        raises an error at run time.

    **Raises:** `ValueError` if an argument is not positive.
    """

    rtol: float = eqx.field(static=True, default=1e-4)
    atol: float = eqx.field(static=True, default=1e-6)
    max_steps: int = eqx.field(static=True, default=256)

    def __check_init__(self):
        if not (self.rtol > 0 and self.atol > 0 and self.max_steps > 0):
            raise ValueError(
                "`rtol`, `atol` and `max_steps` must be positive, got "
                f"{self.rtol}, {self.atol} and {self.max_steps}"
            )


class SolvedTransition(AbstractTransition):
    """Transition that integrates a vector field over `dt` with a Diffrax solver.

    The action is constant over the step. After the step, coordinates are held at `stops`,
    angles are wrapped to `(-pi, pi]` and velocities are clipped to `velocity_limits`.

    **Arguments:**

    - `field`: the vector field.
    - `coordinates`: which coordinates are angles.
    - `dt`: seconds between two actions.
    - `solver`: a name in [`lagdyna.simulate.SOLVERS`][] or a Diffrax solver.
    - `substeps`: number of equal solver steps within `dt`. Ignored if `tolerances` is given.
    - `tolerances`: if given, the solver adapts its steps to these tolerances.
    - `velocity_limits`: largest magnitude of each velocity, length `n`. No limits by
        default.
    - `context_size`: number of trailing context coordinates, such as a target position.
        They stay constant, and the field does not receive them. Policies and rewards do.
    - `stops`: magnitude at which each coordinate is stopped, length `n`, infinite where it is
        not. None by default. A coordinate that arrives there loses its velocity.

    **Raises:** `ValueError` for an unknown solver, a `dt` or `substeps` that is not
    positive, `velocity_limits` or `stops` that are not positive or of the wrong length, or a
    `context_size` that is negative or not less than `n`. Also for `tolerances` with a solver
    that has no error estimate, and for the variational solver with a field that is not a
    [`lagdyna.simulate.LagrangianField`][].
    """

    field: AbstractVectorField
    coordinates: Coordinates
    dt: float = eqx.field(static=True)
    solver: dfx.AbstractSolver
    substeps: int = eqx.field(static=True)
    tolerances: Tolerances | None
    velocity_limits: tuple[float, ...] | None = eqx.field(static=True)
    context_size: int = eqx.field(static=True)
    stops: tuple[float, ...] | None = eqx.field(static=True)

    def __init__(
        self,
        field: AbstractVectorField,
        coordinates: Coordinates,
        dt: float,
        *,
        solver: str | dfx.AbstractSolver = "heun",
        substeps: int = 1,
        tolerances: Tolerances | None = None,
        velocity_limits: tuple[float, ...] | None = None,
        context_size: int = 0,
        stops: tuple[float, ...] | None = None,
    ):
        if not (dt > 0 and np.isfinite(dt)):
            raise ValueError(f"`dt` must be a positive number of seconds, got {dt}")
        if substeps < 1:
            raise ValueError(f"`substeps` must be at least 1, got {substeps}")
        self.solver = get_solver(solver) if isinstance(solver, str) else solver
        if tolerances is not None and not isinstance(self.solver, dfx.AbstractAdaptiveSolver):
            raise ValueError(
                f"`tolerances` needs a solver with an error estimate, and {solver!r} has "
                "none; use heun, ralston, midpoint, bosh3, tsit5, dopri5 or dopri8"
            )
        if isinstance(self.solver, VariationalMidpoint) and not isinstance(
            field, LagrangianField
        ):
            raise ValueError(
                "`solver` variational_midpoint needs the Lagrangian of a `LagrangianField`, "
                f"but `field` is of type `{type(field).__name__}`; use another solver"
            )
        for name, limits in (("velocity_limits", velocity_limits), ("stops", stops)):
            if limits is not None and len(limits) != coordinates.n:
                raise ValueError(
                    f"`{name}` has {len(limits)} entries for {coordinates.n} coordinates; one "
                    "per coordinate is accepted"
                )
        if not 0 <= context_size < coordinates.n:
            raise ValueError(
                f"`context_size` was {context_size}; with {coordinates.n} coordinates, an "
                f"integer from 0 to {coordinates.n - 1} is accepted"
            )
        check_limits(velocity_limits)
        check_limits(stops, "stops")
        self.context_size = context_size
        self.field = field
        self.coordinates = coordinates
        self.dt = float(dt)
        self.substeps = substeps
        self.tolerances = tolerances
        self.velocity_limits = velocity_limits
        self.stops = stops

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        # Only the leading coordinates move; the trailing ones are context.
        moving = (
            State(*(x[: x.shape[0] - self.context_size] for x in state))
            if self.context_size
            else state
        )
        inner = self.field.encode(moving)
        if self.tolerances is None:
            inner = fixed_steps(self.field, self.solver, inner, action, self.dt, self.substeps)
        else:
            tol = self.tolerances
            inner = adaptive_steps(
                self.field,
                self.solver,
                inner,
                action,
                self.dt,
                tol.rtol,
                tol.atol,
                tol.max_steps,
            )
        q, qd = self.field.decode(inner)
        if self.context_size:
            q = jnp.concatenate([q, state.q[-self.context_size :]])
            qd = jnp.concatenate([qd, state.qd[-self.context_size :]])
        if self.stops is not None:
            q, qd = stopped(State(q, qd), self.stops)
        if self.velocity_limits is not None:
            limits = jnp.asarray(self.velocity_limits, qd.dtype)
            qd = jnp.clip(qd, -limits, limits)
        return State(self.coordinates.wrap(q), qd)


def check_limits(limits: tuple[float, ...] | None, name: str = "velocity_limits") -> None:
    """Raise `ValueError` if a limit is not positive."""
    if limits is not None and not all(limit > 0 for limit in limits):
        raise ValueError(f"`{name}` must be positive magnitudes, got {limits}")


def stopped(state: State, stops: tuple[float, ...]) -> State:
    """Hold coordinates at their stops, before angles are wrapped.

    **Arguments:** `state`, of shapes `(n,)`; `stops`, the largest magnitude of each coordinate.

    **Returns:** the state, where a coordinate that had passed its stop is at it and does not
    move outwards.
    """
    q, qd = state
    limits = jnp.asarray(stops, q.dtype)
    outwards = (jnp.abs(q) > limits) & (q * qd > 0)
    return State(jnp.clip(q, -limits, limits), jnp.where(outwards, 0, qd))
