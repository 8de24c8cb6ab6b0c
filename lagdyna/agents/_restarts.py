"""Policies of the restarts of a run, and the one that acts."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree, Scalar

from ._networks import Policy


class PolicyPool(eqx.Module):
    """Best policy of each restart, one of which acts.

    **Attributes:**

    - `best`: the policies, stacked along a leading axis of restarts. Entries of restarts that
        have not begun hold copies of the first.
    - `acting`: the index of the acting policy.
    """

    best: Policy
    acting: Int[Array, ""]

    @classmethod
    def begin(cls, policy: Policy, restarts: int) -> "PolicyPool":
        """Create a pool for a number of restarts, in which the first policy acts."""
        return cls(map_arrays(lambda x: jnp.stack([x] * restarts), policy), jnp.zeros((), int))

    @property
    def policy(self) -> Policy:
        """Acting policy."""
        return self._entry(self.acting)

    @property
    def count(self) -> int:
        """Number of restarts."""
        return len(jax.tree.leaves(eqx.filter(self.best, eqx.is_array))[0])

    def _entry(self, index: Int[Array, ""]) -> Policy:
        return map_arrays(lambda x: x[index], self.best)

    def updated(
        self,
        current: Policy,
        index: Int[Array, ""],
        replaces: Bool[Array, ""],
        evaluate: Callable[[Policy], Scalar],
    ) -> tuple["PolicyPool", Scalar, Scalar]:
        """Compare the current policy with the pool, and select the acting policy.

        **Arguments:**

        - `current`: the policy that is being learned.
        - `index`: of its restart, the latest that has begun.
        - `replaces`: whether it replaces the best policy of its restart in any case. Otherwise
            it does if its return is at least as high.
        - `evaluate`: computes the return of a policy. All policies are evaluated again.

        **Returns:** the pool, the return of the acting policy and that of the current one.
        """
        returns = jax.lax.fori_loop(
            0,
            index + 1,
            lambda i, returns: returns.at[i].set(evaluate(self._entry(i))),
            jnp.full(self.count, -jnp.inf),
        )
        newest = evaluate(current)
        better = replaces | (newest >= returns[index])
        best = map_arrays(
            lambda kept, new: kept.at[index].set(jnp.where(better, new, kept[index])),
            self.best,
            current,
        )
        returns = returns.at[index].set(jnp.where(better, newest, returns[index]))
        acting = jnp.argmax(returns)
        return PolicyPool(best, acting), returns[acting], newest


def map_arrays(function: Callable[..., Array], tree: PyTree, *others: PyTree) -> PyTree:
    """Apply a function to the arrays of PyTrees of the same structure."""
    return jax.tree.map(
        lambda x, *ys: function(x, *ys) if eqx.is_array(x) else x, tree, *others
    )
