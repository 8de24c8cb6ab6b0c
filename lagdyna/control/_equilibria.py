from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jaxtyping import Array, Float

from .._errors import UserError
from ..mechanics import Coordinates, Limits, MechanicalSystem, State
from ..simulate import AbstractTransition
from ._action_box import ActionBox
from ._float64 import float64, to_float64

Vector = np.ndarray  # of float64


class Equilibrium(NamedTuple):
    """State at rest with the action that holds it.

    **Attributes:**

    - `state`: the state, shapes `(n,)`; its velocities are 0.
    - `action`: the action, shape `(m,)`.
    """

    state: State
    action: Float[Array, " m"]


def find_equilibrium(
    dynamics: AbstractTransition | MechanicalSystem,
    q: Float[Array | np.ndarray, " n"] | Sequence[float],
    box: ActionBox,
    *,
    radius: float = 0.1,
    tolerance: float = 1e-6,
    limits: Limits | None = None,
) -> Equilibrium:
    """Find the equilibrium at or near given coordinates, and the action that holds it.

    First the action alone is sought. If none holds `q`, the coordinates may move too: an
    equilibrium with an action of 0 is taken if it is within a tenth of `radius`, else the
    nearest one. All are nonlinear least squares with bounds (Branch, Coleman & Li 1999, "A
    subspace, interior, and conjugate gradient method"), computed in float64.

    **Arguments:**

    - `dynamics`: a transition, whose state must not change in a step; or a mechanical system,
        whose acceleration must be 0.
    - `q`: the coordinates to hold, length `n`.
    - `box`: limits of the action.
    - `radius`: how far an equilibrium may be from `q` in any coordinate, rad and m.
    - `tolerance`: largest change in one step that counts as none, rad, m, rad/s and m/s; of a
        system, the largest acceleration.
    - `limits`: box of states that `q` must be in, if there is one.

    **Raises:** [`lagdyna.UserError`][] if `q` has another length, is not finite or is outside
    of `limits`, if `box` has another number of actions than `dynamics`, or if no equilibrium
    is within `radius`.
    """
    coordinates = dynamics.coordinates
    goal = _checked(q, coordinates, limits)
    with float64():
        equations = _equations(to_float64(dynamics), coordinates.n, box)
        held = _hold(equations, goal, box)
        found = held
        if held.error > tolerance:
            # A goal such as 3.14 means the equilibrium without effort beside it.
            passive = _move(equations, goal, held.action, box, passive=True)
            nearest = _move(equations, goal, held.action, box, passive=False)
            for found, distance in ((passive, 0.1 * radius), (nearest, radius)):
                moved = coordinates.difference(jnp.asarray(found.q), jnp.asarray(goal))
                if found.error <= tolerance and np.abs(moved).max() <= distance:
                    break
            else:
                raise UserError(
                    _not_held(dynamics, held, nearest, goal, tolerance, radius, coordinates)
                )
        q = np.asarray(coordinates.wrap(jnp.asarray(found.q)))
    held_q, action = jnp.asarray(q, float), jnp.asarray(found.action, float)
    return Equilibrium(State(held_q, jnp.zeros_like(held_q)), action)


class _Found(NamedTuple):
    """Result of least squares: a configuration, an action and what still changes."""

    q: Vector
    action: Vector
    residual: Vector

    @property
    def error(self) -> float:
        return float(np.abs(self.residual).max())


# The residual at `(q, action)` and its Jacobian.
_Equations = Callable[[Vector], tuple[Vector, Vector]]


def _equations(
    dynamics: AbstractTransition | MechanicalSystem, n: int, box: ActionBox
) -> _Equations:
    """Return a function of `(q, action)` for what must be 0 in an equilibrium."""

    point = jax.ShapeDtypeStruct((n + box.size,), jnp.float64)
    try:
        eqx.filter_eval_shape(_residual, dynamics, point)
    except TypeError as error:
        raise UserError(
            f"`box` has limits of {box.size} actions, and the dynamics do not accept so many; "
            "give one lower and one upper limit for each action"
        ) from error

    def equations(z: Vector) -> tuple[Vector, Vector]:
        jacobian, change = _jacobian_and_residual(dynamics, z)
        return np.asarray(change), np.asarray(jacobian)

    return equations


def _residual(dynamics: AbstractTransition | MechanicalSystem, z: Array) -> tuple[Array, Array]:
    """Compute what must be 0 in an equilibrium, twice: also as the auxiliary output."""
    q, action = jnp.split(z, [dynamics.coordinates.n])
    rest = jnp.zeros_like(q)
    if isinstance(dynamics, MechanicalSystem):
        change = dynamics.forward_dynamics(q, rest, action)
    else:
        after = dynamics.step(State(q, rest), action)
        change = jnp.concatenate([after.qd, dynamics.coordinates.difference(after.q, q)])
    return change, change


@eqx.filter_jit  # of the module, so that equilibria of like systems share a program
def _jacobian_and_residual(
    dynamics: AbstractTransition | MechanicalSystem, z: Array | Vector
) -> tuple[Array, Array]:
    return jax.jacfwd(lambda z: _residual(dynamics, z), has_aux=True)(z)


def _hold(equations: _Equations, q: Vector, box: ActionBox) -> _Found:
    """Find the action that holds `q` best."""
    n = len(q)
    start = np.clip(0.0, *_inside(box))

    def by_action(action: Vector) -> tuple[Vector, Vector]:
        change, jacobian = equations(np.append(q, action))
        return change, jacobian[:, n:]

    action = _least_squares(by_action, start, box.lower, box.upper)
    return _Found(q, action, equations(np.append(q, action))[0])


def _move(
    equations: _Equations, goal: Vector, action: Vector, box: ActionBox, *, passive: bool
) -> _Found:
    """Find an equilibrium near `goal`: with an action of 0 if `passive`, else with any."""
    n, free = len(goal), np.full(len(goal), np.inf)

    def near(weight: float) -> Callable[[Vector], tuple[Vector, Vector]]:
        """Add the distance from the goal, since equilibria may be a continuum."""

        def weighted(z: Vector) -> tuple[Vector, Vector]:
            change, jacobian = equations(np.append(z, np.zeros(box.size)) if passive else z)
            distance = np.eye(n, len(z))
            return (
                np.append(change, weight * (z[:n] - goal)),
                np.vstack([jacobian[:, : len(z)], weight * distance]),
            )

        return weighted

    if passive:
        z, lower, upper = goal, -free, free
    else:
        z = np.append(goal, np.clip(action, *_inside(box)))
        lower, upper = np.append(-free, box.lower), np.append(free, box.upper)
    for weight in (1e-3, 0.0):
        z = _least_squares(near(weight), z, lower, upper)
    z = np.append(z, np.zeros(box.size)) if passive else z
    return _Found(z[:n], z[n:], equations(z)[0])


def _least_squares(
    function: Callable[[Vector], tuple[Vector, Vector]],
    start: Vector,
    lower: Sequence[float] | Vector,
    upper: Sequence[float] | Vector,
) -> Vector:
    """Minimise half the sum of squares of `function`, which also returns its Jacobian."""
    last: list[Any] = [None, None]

    def at(z: Vector) -> tuple[Vector, Vector]:
        if last[0] is None or not np.array_equal(last[0], z):
            last[:] = [z.copy(), function(z)]
        return last[1]

    result = scipy.optimize.least_squares(
        lambda z: at(z)[0],
        start,
        lambda z: at(z)[1],  # pyright: ignore[reportArgumentType]
        bounds=(lower, upper),
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
    )
    return result.x


def _inside(box: ActionBox) -> tuple[Vector, Vector]:
    """Return a slightly smaller box, since the solver starts inside of the bounds."""
    lower, upper = np.asarray(box.lower), np.asarray(box.upper)
    margin = 1e-3 * (upper - lower)
    return lower + margin, upper - margin


def _checked(q: object, coordinates: Coordinates, limits: Limits | None) -> Vector:
    """Convert the coordinates of a goal, and check them."""
    accepted = f"{coordinates.n} finite numbers are accepted, one for each coordinate"
    try:
        goal = np.asarray(q, float)
    except (TypeError, ValueError) as error:
        raise UserError(f"the goal was {q!r}; {accepted}") from error
    if goal.shape != (coordinates.n,) or not np.all(np.isfinite(goal)):
        raise UserError(f"the goal was q={_numbers(goal)}; {accepted}")
    if limits is not None:
        for i, (value, limit) in enumerate(zip(goal, limits.positions, strict=False)):
            if not coordinates.angles[i] and 0 < limit < abs(value):
                raise UserError(
                    f"the goal q[{i}]={value:g} is outside of the limits; -{limit:g} to "
                    f"{limit:g} is accepted"
                )
    return goal


def _not_held(
    dynamics: AbstractTransition | MechanicalSystem,
    held: _Found,
    nearest: _Found,
    goal: Vector,
    tolerance: float,
    radius: float,
    coordinates: Coordinates,
) -> str:
    """Say what still accelerates at the goal, and where the nearest equilibrium is."""
    n = len(goal)
    worst = int(np.argmax(np.abs(held.residual))) % n
    angle = coordinates.angles[worst]
    if isinstance(dynamics, MechanicalSystem):
        what = f"accelerates at {held.residual[worst]:.3g} {'rad' if angle else 'm'}/s^2"
    else:
        what = f"changes its velocity by {held.residual[worst]:.3g} {'rad' if angle else 'm'}/s"
        what += " in a step"
    message = (
        f"no action within its limits holds the goal q={_numbers(goal)}: with the best, "
        f"{_numbers(held.action)}, q[{worst}] {what}"
    )
    if nearest.error <= tolerance:
        found = coordinates.wrap(jnp.asarray(nearest.q))
        return (
            f"{message}; the nearest equilibrium found is q={_numbers(np.asarray(found))}, and "
            f"goals within {radius:g} of one are accepted"
        )
    return f"{message}; give a goal within {radius:g} of an equilibrium"


def _numbers(values: Vector) -> str:
    return ",".join(f"{x:.4g}" for x in np.ravel(values))
