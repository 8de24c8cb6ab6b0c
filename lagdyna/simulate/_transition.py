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
    """What happens between two actions: `step(state, action) -> state`.

    All that an agent knows of a simulator.
    """

    coordinates: eqx.AbstractVar[Coordinates]

    @abc.abstractmethod
    def step(self, state: State, action: Float[Array, " m"]) -> State:
        """The state one action later. `action` is in `[-1, 1]^m` and is held."""

    def steps(self, states: State, actions: Float[Array, "batch m"]) -> State:
        """The same of a batch, states of shapes `(batch, n)`."""
        return jax.vmap(self.step)(states, actions)


class Tolerances(eqx.Module):
    """How closely adaptive steps follow the true solution.

    **Arguments:**

    - `rtol`, `atol`: relative and absolute tolerance.
    - `max_steps`: most solver steps within one `dt`; needing more is an error.

    **Raises:** `ValueError` if one of them is not positive.
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
    """A vector field, solved by Diffrax over `dt` with the action held constant.

    After a step angles are wrapped to `(-pi, pi]`, and velocities are clipped where the
    task says that the real system's are.

    **Arguments:**

    - `field`: the vector field.
    - `coordinates`: which coordinates are angles.
    - `dt`: seconds between two actions.
    - `solver`: a name in [`lagdyna.simulate.SOLVERS`][] or a Diffrax solver.
    - `substeps`: equal solver steps within `dt`. Ignored with `tolerances`.
    - `tolerances`: if given, steps adapt to them instead.
    - `velocity_limits`: the largest magnitude of each velocity; infinite by default.
    - `held`: how many of the last coordinates stay as they are, such as where a target
        lies. The field does not see them; whoever acts or pays does.

    **Raises:** `ValueError` for an unknown solver, a `dt` or `substeps` that is not
    positive, limits that are not positive or of the wrong length, `tolerances` with a
    solver that does not estimate its error, or the variational solver with a field that
    has no Lagrangian.
    """

    field: AbstractVectorField
    coordinates: Coordinates
    dt: float = eqx.field(static=True)
    solver: dfx.AbstractSolver
    substeps: int = eqx.field(static=True)
    tolerances: Tolerances | None
    velocity_limits: tuple[float, ...] | None = eqx.field(static=True)
    held: int = eqx.field(static=True)

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
        held: int = 0,
    ):
        if not (dt > 0 and np.isfinite(dt)):
            raise ValueError(f"`dt` must be a positive number of seconds, got {dt}")
        if substeps < 1:
            raise ValueError(f"`substeps` must be at least 1, got {substeps}")
        self.solver = get_solver(solver) if isinstance(solver, str) else solver
        if tolerances is not None and not isinstance(self.solver, dfx.AbstractAdaptiveSolver):
            raise ValueError(
                f"`tolerances` need a solver that estimates its error, and {solver!r} "
                "does not; heun, ralston, midpoint, bosh3, tsit5, dopri5 and dopri8 do"
            )
        if isinstance(self.solver, VariationalMidpoint) and not isinstance(
            field, LagrangianField
        ):
            raise ValueError(
                "`solver` variational_midpoint needs the Lagrangian of a `LagrangianField`, "
                f"and `field` is a `{type(field).__name__}`"
            )
        if velocity_limits is not None and len(velocity_limits) != coordinates.n:
            raise ValueError(
                f"`velocity_limits` has {len(velocity_limits)} entries for "
                f"{coordinates.n} coordinates"
            )
        if not 0 <= held < coordinates.n:
            raise ValueError(
                f"`held` must leave one of {coordinates.n} coordinates to move, got {held}"
            )
        check_limits(velocity_limits)
        self.held = held
        self.field = field
        self.coordinates = coordinates
        self.dt = float(dt)
        self.substeps = substeps
        self.tolerances = tolerances
        self.velocity_limits = velocity_limits

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        moving = State(*(x[: x.shape[0] - self.held] for x in state)) if self.held else state
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
        if self.held:
            q = jnp.concatenate([q, state.q[-self.held :]])
            qd = jnp.concatenate([qd, state.qd[-self.held :]])
        if self.velocity_limits is not None:
            limits = jnp.asarray(self.velocity_limits, qd.dtype)
            qd = jnp.clip(qd, -limits, limits)
        return State(self.coordinates.wrap(q), qd)


def check_limits(velocity_limits: tuple[float, ...] | None) -> None:
    """Refuses limits that no velocity could keep."""
    if velocity_limits is not None and not all(limit > 0 for limit in velocity_limits):
        raise ValueError(
            f"`velocity_limits` must be positive magnitudes, got {velocity_limits}"
        )
