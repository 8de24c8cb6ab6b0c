import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ..mechanics import State
from ._experience import Experience


class ReplayBuffer(eqx.Module):
    """The most recent experience, preallocated, sampled uniformly or in windows.

    When it is full the oldest experience makes room. All methods are pure: `add` returns
    a new buffer.

    **Attributes:**

    - `experience`: an [`lagdyna.data.Experience`][] with leading axis `capacity`.
    - `episode`: for each entry, the number of the episode it belongs to.
    - `added`: how many entries were ever added.
    """

    experience: Experience
    episode: Int[Array, " capacity"]
    added: Int[Array, ""]

    @classmethod
    def empty(cls, capacity: int, n: int, m: int) -> "ReplayBuffer":
        """A buffer of `capacity` entries for `n` coordinates and `m` actions.

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
        """The most entries it holds."""
        return self.episode.shape[0]

    @property
    def size(self) -> Int[Array, ""]:
        """How many entries it holds now."""
        return jnp.minimum(self.added, self.capacity)

    @property
    def filled(self) -> Bool[Array, " capacity"]:
        """Which places hold an entry."""
        return jnp.arange(self.capacity) < self.size

    @property
    def first(self) -> Bool[Array, " capacity"]:
        """Which entries are the first of their episode.

        Where the oldest entries have made room, the oldest that is left is none.
        """
        changes = self.episode != jnp.roll(self.episode, 1)
        oldest = jnp.arange(self.capacity) == self.added % self.capacity
        made_room = self.added > self.capacity
        very_first = (jnp.arange(self.capacity) == 0) & ~made_room
        return self.filled & (changes | very_first) & ~(oldest & made_room)

    def add(
        self,
        experience: Experience,
        episode: Int[Array, ""],
        keep: Bool[Array, ""] | bool = True,
    ) -> "ReplayBuffer":
        """The buffer with consecutive experience of one episode, leading axis time.

        **Arguments:** `keep`, whether it is added at all, for compiled loops.

        **Raises:** `ValueError` if there is more of it than the buffer's capacity.
        """
        length = experience.reward.shape[0]
        if length > self.capacity:
            raise ValueError(
                f"{length} entries do not fit in a buffer of capacity {self.capacity}"
            )
        places = (self.added + jnp.arange(length)) % self.capacity
        # What is not kept writes what stood there: a choice between whole buffers would cost
        # a copy of them.
        put = lambda old, new: old.at[places].set(jnp.where(keep, new, old[places]))  # noqa: E731
        stored = jax.tree.map(put, self.experience, experience)
        added = self.added + jnp.where(keep, length, 0)
        return ReplayBuffer(stored, put(self.episode, episode), added)

    def sample(self, key: PRNGKeyArray, batch: int) -> Experience:
        """`batch` entries drawn uniformly, with replacement."""
        places = jax.random.randint(key, (batch,), 0, self.size)
        return jax.tree.map(lambda x: x[places], self.experience)

    def sample_weighted(
        self, key: PRNGKeyArray, batch: int, weights: Float[Array, " capacity"]
    ) -> Experience:
        """`batch` entries drawn with replacement, each as often as its weight says.

        **Arguments:** `weights`, at least 0, not all 0; those of empty places are ignored.
        """
        weights = jnp.where(self.filled, weights, 0)
        below = jnp.cumsum(weights)
        drawn = below[-1] * jax.random.uniform(key, (batch,), weights.dtype)
        # Rounding can make of the draw the whole; the last entry that weighs is then meant.
        last = jnp.searchsorted(below, below[-1])
        places = jnp.minimum(jnp.searchsorted(below, drawn, side="right"), last)
        return jax.tree.map(lambda x: x[places], self.experience)

    def sample_first(self, key: PRNGKeyArray, batch: int) -> Experience:
        """`batch` entries that are the first of their episode, or any where none is left."""
        first = jnp.where(jnp.any(self.first), self.first, self.filled)
        return self.sample_weighted(key, batch, first.astype(float))

    def sample_windows(
        self, key: PRNGKeyArray, batch: int, length: int
    ) -> tuple[Experience, Float[Array, "batch length"]]:
        """`batch` windows of consecutive entries, drawn uniformly.

        **Returns:** the windows, leading axes `(batch, length)`, and a mask that is 0 from
        the first entry on that is not of the same episode as the window's first.
        """
        first = jax.random.randint(key, (batch,), 0, self.size)
        oldest = jnp.where(self.added > self.capacity, self.added % self.capacity, 0)
        ages = first[:, None] + jnp.arange(length)
        places = (oldest + ages) % self.capacity
        windows = jax.tree.map(lambda x: x[places], self.experience)
        same = self.episode[places] == self.episode[places[:, :1]]
        mask = jnp.cumprod(same & (ages < self.size), axis=1)
        return windows, mask.astype(windows.reward.dtype)
