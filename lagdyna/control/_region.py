import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, Scalar

from ..mechanics import State
from ..simulate import AbstractTransition
from ._lqr import LQR, linear_dynamics
from ._vectors import displace, to_vector

_ROUNDS, _CLEAN = 100, 3


def region_of_attraction(
    transition: AbstractTransition,
    lqr: LQR,
    *,
    key: PRNGKeyArray,
    samples: int = 256,
    steps: int | None = None,
    largest: float | None = None,
) -> float:
    """Estimate by simulation the states from which a regulator reaches its equilibrium.

    The region is a sublevel `x' P x <= rho` of the regulator's value function. States are
    drawn in it, and simulated with clipped actions. Whenever one does not arrive, `rho`
    shrinks below its value, until three rounds in succession arrive as a whole. It is an
    estimate: the states drawn arrive, others were not tried.

    A state arrives if its value is then a hundredth of what it was.

    **Arguments:**

    - `transition`: the simulator, which may differ from the model of the design.
    - `lqr`: the regulator.
    - `key`: for the states.
    - `samples`: states drawn in each round.
    - `steps`: length of a simulation; by default six time constants of the slowest mode, at
        least 50 and at most 2000 steps.
    - `largest`: the first `rho`. By default the level that reaches half a turn of an angle or
        ten times the box of actions, whichever is less.

    **Returns:** `rho`; 0 if the regulator fails near the equilibrium too.
    """
    p = np.asarray(lqr.value, float)
    inverse = np.linalg.inv(p)
    if largest is None:
        largest = _first_level(lqr, inverse)
    if steps is None:
        steps = _settling_steps(transition, lqr)
    root = jnp.asarray(np.linalg.cholesky(inverse), lqr.value.dtype)
    level, clean = largest, 0
    for each in jax.random.split(key, _ROUNDS):
        arrived, values = _round(
            transition, lqr, root, jnp.asarray(level, root.dtype), each, samples, steps
        )
        if bool(arrived.all()):
            clean += 1
            if clean == _CLEAN:
                return float(level)
            continue
        clean = 0
        lost = np.asarray(values)[~np.asarray(arrived)]
        level = 0.95 * min(level, float(lost.min()))
        if level < 1e-6 * largest:
            break
    return 0.0


@eqx.filter_jit
def _round(
    transition: AbstractTransition,
    lqr: LQR,
    root: Float[Array, "two_n two_n"],
    level: Scalar,
    key: PRNGKeyArray,
    samples: int,
    steps: int,
) -> tuple[Bool[Array, " samples"], Float[Array, " samples"]]:
    """Draw states within a level, simulate them, and say which arrive."""
    direction_key, radius_key = jax.random.split(key)
    size = root.shape[0]
    direction = jax.random.normal(direction_key, (samples, size), root.dtype)
    direction /= jnp.linalg.norm(direction, axis=-1, keepdims=True)
    # Half of the states are on the boundary, the others are uniform inside.
    radius = jax.random.uniform(radius_key, (samples, 1), root.dtype) ** (1 / size)
    radius = jnp.where(jnp.arange(samples)[:, None] % 2 == 0, 1.0, radius)
    points = jnp.sqrt(level) * radius * direction @ root.T
    starts = jax.vmap(lambda x: displace(lqr.coordinates, lqr.equilibrium.state, x))(points)

    def follow(start: State) -> Bool[Array, ""]:
        end = jax.lax.fori_loop(0, steps, lambda _, s: transition.step(s, lqr(s)), start)
        finite = jnp.all(jnp.isfinite(to_vector(end)))
        return finite & (lqr.value_of(end) <= 0.01 * lqr.value_of(start))

    return jax.vmap(follow)(starts), jax.vmap(lqr.value_of)(starts)


def _first_level(lqr: LQR, inverse: Float[np.ndarray, "two_n two_n"]) -> float:
    """Compute the largest level that is tried."""
    angles = np.asarray(lqr.coordinates.angles)
    turns = (np.pi**2 / np.diag(inverse)[: len(angles)])[angles]
    gain = np.asarray(lqr.gain, float)
    width = np.asarray(lqr.box.upper) - np.asarray(lqr.box.lower)
    reached = np.einsum("ij,jk,ik->i", gain, inverse, gain)
    effort = (5 * width) ** 2 / np.maximum(reached, 1e-12)
    return float(np.min([*turns, *effort]))


def _settling_steps(transition: AbstractTransition, lqr: LQR) -> int:
    """Compute the number of steps after which a linear system has settled."""
    a, b = linear_dynamics(transition, lqr.equilibrium)
    radius = np.abs(np.linalg.eigvals(a - b @ np.asarray(lqr.gain, float))).max()
    if not radius < 1:
        return 50
    return int(np.clip(np.ceil(-6 / np.log(max(radius, 1e-9))), 50, 2000))
