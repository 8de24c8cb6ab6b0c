"""Which experience the dynamics are learned from, and what becomes of the rest."""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray, PyTree

from ..agents import clipped, within
from ..data import Experience, ReplayBuffer
from ._agents import imagined_limits
from ._config import Config


class Nearby(NamedTuple):
    """How far and how fast what moves may be, as imagined rollouts know it.

    Beyond, a rollout is clipped, so what is paid there is worth learning and how things move
    there is not: a cart driven hundreds of metres away, or links that spin faster than any step
    can follow, would have the model learn of nothing else, and a reward that has seen nothing
    of it might promise anything.

    **Attributes:** `limits`, of positions and of velocities; infinite for the positions of
    angles, for a context, and where the task sets none.
    """

    limits: tuple[tuple[float, ...], tuple[float, ...]]

    @classmethod
    def of(cls, config: Config) -> "Nearby":
        """The limits of a task: those of imagined rollouts, but for angles, which have none."""
        coordinates = config.task.coordinates
        free = (math.inf,) * len(config.task.context)
        positions, velocities = (most[: len(coordinates)] for most in imagined_limits(config))
        far = [
            most if c.kind == "linear" and c.position_range is not None else math.inf
            for c, most in zip(coordinates, positions, strict=True)
        ]
        return cls(((*far, *free), (*velocities, *free)))

    def clipped(self, experience: Experience) -> Experience:
        """What is stored of experience: states at the limit where they are beyond it."""
        return experience._replace(
            state=clipped(experience.state, self.limits),
            next_state=clipped(experience.next_state, self.limits),
        )

    def __call__(self, experience: Experience) -> Bool[Array, "..."]:
        """Which entries of what was stored lie within the limits."""
        states = experience.state, experience.next_state
        here, there = (within(each, self.limits) for each in states)
        return here & there

    def rows(self, buffer: ReplayBuffer) -> Bool[Array, " capacity"]:
        """Which places of a buffer hold an entry within the limits."""
        return buffer.filled & self(buffer.experience)

    def sample(self, buffer: ReplayBuffer, key: PRNGKeyArray, batch: int) -> Experience:
        """`batch` entries within the limits, drawn uniformly; if there are none, of any."""
        weights = self.rows(buffer).astype(buffer.experience.reward.dtype)
        return buffer.sample_weighted(key, batch, weights)

    def sample_windows(
        self, buffer: ReplayBuffer, key: PRNGKeyArray, batch: int, length: int
    ) -> PyTree:
        """`batch` windows, as of a buffer, masked from the first entry beyond the limits."""
        windows, mask = buffer.sample_windows(key, batch, length)
        return windows, mask * jnp.cumprod(self(windows), axis=1)
