"""Selection of the experience that the dynamics are learned from."""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray, PyTree

from ..config import Config
from ..data import Experience, ReplayBuffer
from ..mechanics import Limits
from ..tasks import Plant


class InRange(NamedTuple):
    """Experience within the limits of imagined rollouts.

    A rollout is clipped at the limits, so rewards beyond them matter and dynamics do not. A
    cart hundreds of metres away, or links that spin faster than any solver step can follow,
    would otherwise dominate the model, and the reward model would have seen nothing of them.

    **Attributes:** `limits`, infinite for positions of angles, for a context, and where the
    task sets none.
    """

    limits: Limits

    @classmethod
    def of(cls, config: Config, plant: Plant) -> "InRange":
        """Take the limits of imagined rollouts, without those of angles."""
        coordinates = config.task.coordinates
        free = (math.inf,) * plant.context_size
        positions, velocities = (most[: len(coordinates)] for most in plant.limits)
        far = [
            most if c.kind == "linear" and c.position_range is not None else math.inf
            for c, most in zip(coordinates, positions, strict=True)
        ]
        return cls(Limits((*far, *free), (*velocities, *free)))

    def clip(self, experience: Experience) -> Experience:
        """Clip the states of experience, as it is stored."""
        return experience._replace(
            state=self.limits.clip(experience.state),
            next_state=self.limits.clip(experience.next_state),
        )

    def __call__(self, experience: Experience) -> Bool[Array, "..."]:
        """Whether both states of each entry lie within the limits."""
        here = self.limits.contains(experience.state)
        return here & self.limits.contains(experience.next_state)

    def rows(self, buffer: ReplayBuffer) -> Bool[Array, " capacity"]:
        """Mark the rows of a buffer that hold an entry within the limits."""
        return buffer.filled & self(buffer.experience)

    def sample(self, buffer: ReplayBuffer, key: PRNGKeyArray, batch: int) -> Experience:
        """Draw entries within the limits uniformly; if there are none, any entries."""
        weights = self.rows(buffer).astype(buffer.experience.reward.dtype)
        return buffer.sample_weighted(key, batch, weights)

    def sample_windows(
        self, buffer: ReplayBuffer, key: PRNGKeyArray, batch: int, length: int
    ) -> PyTree:
        """Draw windows of a buffer, masked from the first entry beyond the limits."""
        windows, mask = buffer.sample_windows(key, batch, length)
        return windows, mask * jnp.cumprod(self(windows), axis=1)
