import equinox as eqx
import jax
from jaxtyping import Array, Float

from ..mechanics import State
from ._transition import AbstractTransition


class SampledTransition(eqx.Module):
    """Ensemble of transitions drawn from a posterior over the weights.

    Rollout `i` of a batch uses member `i % count` in every step. Each rollout therefore
    follows one sampled model (Thompson sampling, Thompson 1933), not the mean of the samples.

    **Arguments:**

    - `members`: a transition whose arrays have a leading axis of length `count`, as
        [`lagdyna.filters.AbstractPosterior`][] samples it.
    """

    members: AbstractTransition

    @property
    def count(self) -> int:
        """Number of members."""
        return jax.tree.leaves(eqx.filter(self.members, eqx.is_array))[0].shape[0]

    def steps(self, states: State, actions: Float[Array, "batch m"]) -> State:
        """Compute the next states of a batch, with one member for each rollout.

        **Arguments:**

        - `states`: a `State` of shapes `(batch, n)`.
        - `actions`: one action per rollout, shape `(batch, m)`.

        **Returns:** the next states, shapes `(batch, n)`.

        **Raises:** `ValueError` if `batch` is not a multiple of `count`.
        """
        batch = actions.shape[0]
        if batch % self.count:
            raise ValueError(
                f"`actions` has a batch size of {batch}; a multiple of {self.count}, the "
                "number of sampled transitions, is accepted"
            )

        def split_batch(x: Array) -> Array:
            return x.reshape(batch // self.count, self.count, *x.shape[1:])

        next_states = eqx.filter_vmap(_steps, in_axes=(eqx.if_array(0), 1, 1), out_axes=1)(
            self.members, jax.tree.map(split_batch, states), split_batch(actions)
        )
        return jax.tree.map(lambda x: x.reshape(batch, *x.shape[2:]), next_states)

    def all_steps(self, states: State, actions: Float[Array, "batch m"]) -> State:
        """Compute the next states of a batch with every member.

        **Arguments:**

        - `states`: a `State` of shapes `(batch, n)`.
        - `actions`: one action per rollout, shape `(batch, m)`.

        **Returns:** the next states, shapes `(count, batch, n)`.
        """
        return eqx.filter_vmap(_steps, in_axes=(eqx.if_array(0), None, None))(
            self.members, states, actions
        )


def _steps(transition: AbstractTransition, states: State, actions: Array) -> State:
    return transition.steps(states, actions)
