import difflib

from ...mechanics import Coordinates, FixedActuation, MechanicalSystem
from ...systems import Pendulum, PlanarChain
from .._spec import TaskSpec
from ._entries import SUITE
from ._task import SuiteTask
from ._yardsticks import YARDSTICKS, yardstick_task

_ENTRIES = {**SUITE, **YARDSTICKS}


def suite_name(spec: TaskSpec) -> str | None:
    """Return the short name of the suite task that a description matches.

    The environment, the observation indices, the context and the number of actions must match.
    State limits, `repeat` and forces may differ. The description must have no
    `max_episode_steps`, no arguments of `gymnasium.make` and no wrappers.

    **Returns:** the name, or `None` if no task matches.
    """
    if spec.make or spec.wrappers:  # only the environment itself applies them
        return None
    for name, entry in _ENTRIES.items():
        known = entry.spec
        same_state = spec.context == known.context and [
            (c.kind, c.indices, c.relative_to) for c in spec.coordinates
        ] == [(c.kind, c.indices, c.relative_to) for c in known.coordinates]
        if spec.env_id == known.env_id and same_state and spec.max_episode_steps is None:
            return name if spec.action_size == known.action_size else None
    return None


def suite_task(name: str) -> SuiteTask:
    """Construct the suite task of a short name.

    Its parameters have JAX's current precision: float32, or float64 under `jax.enable_x64`.

    **Arguments:**

    - `name`: a key of [`lagdyna.tasks.SUITE`][] or [`lagdyna.tasks.YARDSTICKS`][].

    **Raises:** `ValueError` if the name is unknown; the message lists the nearest names.
    """
    if name in YARDSTICKS:
        return yardstick_task(name)
    if name not in SUITE:
        near = difflib.get_close_matches(name, _ENTRIES, n=3, cutoff=0.4)
        hint = f"nearest: {', '.join(near)}; " if near else ""
        raise ValueError(
            f"`name` was {name!r}, which is not a task of the suite; {hint}"
            f"all: {', '.join(_ENTRIES)}"
        )
    entry = SUITE[name]
    actuation = FixedActuation(entry.force)
    if entry.point_mass:
        body, coordinates = Pendulum.point_mass(gravity=entry.gravity), Coordinates((True,))
    else:
        cart_mass = 1.0 if entry.cart else None
        body = PlanarChain.rods(entry.links, gravity=entry.gravity, cart_mass=cart_mass)
        coordinates = body.coordinates
    system = MechanicalSystem(body, coordinates, actuation)
    return SuiteTask(name, system, len(entry.force[0]), entry.dt)
