import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ..mechanics import State
from ._experience import Experience


class ReplayBuffer(eqx.Module):
    """Replay buffer of fixed capacity.

    New entries overwrite the oldest ones when the buffer is full. All methods are pure:
    `add` returns a new buffer.

    **Attributes:**

    - `experience`: an [`lagdyna.data.Experience`][] with leading axis `capacity`.
    - `episode`: episode number of each entry, shape `(capacity,)`; -1 for empty slots.
    - `added`: total number of entries added so far, a scalar.
    """

    experience: Experience
    episode: Int[Array, " capacity"]
    added: Int[Array, ""]

    @classmethod
    def empty(cls, capacity: int, n: int, m: int) -> "ReplayBuffer":
        """Create an empty buffer.

        **Arguments:**

        - `capacity`: maximum number of entries.
        - `n`: number of coordinates.
        - `m`: number of actions.

        **Raises:** `ValueError` if `capacity` is not positive.
        """
        if capacity < 1:
            raise ValueError(f"`capacity` must be at least 1, got {capacity}")
        state = State(jnp.zeros((capacity, n)), jnp.zeros((capacity, n)))
        return cls(
            Experience(
                state,
                jnp.zeros((capacity, m)),
                jnp.zeros(capacity),
                state,
                jnp.zeros(capacity, bool),
            ),
            jnp.full(capacity, -1, int),
            jnp.zeros((), int),
        )

    @property
    def capacity(self) -> int:
        """Maximum number of entries."""
        return self.episode.shape[0]

    @property
    def size(self) -> Int[Array, ""]:
        """Current number of entries."""
        return jnp.minimum(self.added, self.capacity)

    @property
    def filled(self) -> Bool[Array, " capacity"]:
        """Mask of the slots that hold an entry, shape `(capacity,)`."""
        return jnp.arange(self.capacity) < self.size

    @property
    def first(self) -> Bool[Array, " capacity"]:
        """Mask of the first entry of each episode, shape `(capacity,)`.

        Once entries have been overwritten, the oldest remaining entry does not count, since
        its episode may have started earlier.
        """
        changes = self.episode != jnp.roll(self.episode, 1)
        oldest = jnp.arange(self.capacity) == self.added % self.capacity
        overwritten = self.added > self.capacity
        very_first = (jnp.arange(self.capacity) == 0) & ~overwritten
        return self.filled & (changes | very_first) & ~(oldest & overwritten)

    def add(
        self,
        experience: Experience,
        episode: Int[Array, ""],
        keep: Bool[Array, ""] | bool = True,
    ) -> "ReplayBuffer":
        """Add consecutive experience of one episode.

        **Arguments:**

        - `experience`: an [`lagdyna.data.Experience`][] with a leading axis of time.
        - `episode`: number of the episode.
        - `keep`: whether to add the experience. It may be traced, for use in compiled loops.

        **Returns:** the new buffer.

        **Raises:** `ValueError` if there are more entries than the buffer's capacity.
        """
        length = experience.reward.shape[0]
        if length > self.capacity:
            raise ValueError(
                f"{length} entries do not fit in a buffer of capacity {self.capacity}; add "
                "fewer at a time or increase `capacity`"
            )
        slots = (self.added + jnp.arange(length)) % self.capacity

        # If `keep` is false, write back the old entries. Selecting between two buffers would
        # copy them.
        def write(old: Array, new: Array) -> Array:
            return old.at[slots].set(jnp.where(keep, new, old[slots]))

        stored = jax.tree.map(write, self.experience, experience)
        added = self.added + jnp.where(keep, length, 0)
        return ReplayBuffer(stored, write(self.episode, episode), added)

    def sample(self, key: PRNGKeyArray, batch: int) -> Experience:
        """Sample entries uniformly, with replacement.

        **Arguments:**

        - `key`: random key.
        - `batch`: number of entries.

        **Returns:** an [`lagdyna.data.Experience`][] with leading axis `batch`.
        """
        slots = jax.random.randint(key, (batch,), 0, self.size)
        return jax.tree.map(lambda x: x[slots], self.experience)

    def sample_weighted(
        self, key: PRNGKeyArray, batch: int, weights: Float[Array, " capacity"]
    ) -> Experience:
        """Sample entries with probabilities proportional to weights, with replacement.

        **Arguments:**

        - `key`: random key.
        - `batch`: number of entries.
        - `weights`: nonnegative weights, shape `(capacity,)`. At least one filled slot must
            have a positive weight. Weights of empty slots are ignored.

        **Returns:** an [`lagdyna.data.Experience`][] with leading axis `batch`.
        """
        weights = jnp.where(self.filled, weights, 0)
        cumulative = jnp.cumsum(weights)
        drawn = cumulative[-1] * jax.random.uniform(key, (batch,), weights.dtype)
        # Rounding can raise a draw to the total weight. Clip it to the last entry with a
        # positive weight.
        last = jnp.searchsorted(cumulative, cumulative[-1])
        slots = jnp.minimum(jnp.searchsorted(cumulative, drawn, side="right"), last)
        return jax.tree.map(lambda x: x[slots], self.experience)

    def sample_first(self, key: PRNGKeyArray, batch: int) -> Experience:
        """Sample first entries of episodes uniformly, with replacement.

        If the buffer holds no first entry, sample from all entries.

        **Arguments:**

        - `key`: random key.
        - `batch`: number of entries.

        **Returns:** an [`lagdyna.data.Experience`][] with leading axis `batch`.
        """
        first = jnp.where(jnp.any(self.first), self.first, self.filled)
        return self.sample_weighted(key, batch, first.astype(float))

    def sample_windows(
        self, key: PRNGKeyArray, batch: int, length: int
    ) -> tuple[Experience, Float[Array, "batch length"]]:
        """Sample windows of consecutive entries, with uniformly drawn first entries.

        **Arguments:**

        - `key`: random key.
        - `batch`: number of windows.
        - `length`: number of entries in a window.

        **Returns:** the windows, an [`lagdyna.data.Experience`][] with leading axes
        `(batch, length)`, and a mask of the same shape. The mask is 1 up to the end of the
        episode of the window's first entry, and 0 after it.
        """
        first = jax.random.randint(key, (batch,), 0, self.size)
        oldest = jnp.where(self.added > self.capacity, self.added % self.capacity, 0)
        ages = first[:, None] + jnp.arange(length)
        slots = (oldest + ages) % self.capacity
        windows = jax.tree.map(lambda x: x[slots], self.experience)
        same = self.episode[slots] == self.episode[slots[:, :1]]
        mask = jnp.cumprod(same & (ages < self.size), axis=1)
        return windows, mask.astype(windows.reward.dtype)
