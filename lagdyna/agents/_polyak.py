import equinox as eqx
import optax
from jaxtyping import PyTree


def polyak_average(targets: PyTree, weights: PyTree, rate: float) -> PyTree:
    """Move target networks a fraction of the way towards the learned ones.

        targets <- (1 - rate) targets + rate weights

    The averaging of Polyak & Juditsky (1992) with a fixed rate (Lillicrap et al. 2016).

    **Arguments:**

    - `targets`, `weights`: networks of the same structure.
    - `rate`: the fraction, from 0 to 1.

    **Returns:** the new targets; leaves that are not floating-point arrays stay the same.
    """
    arrays, rest = eqx.partition(targets, eqx.is_inexact_array)
    towards = eqx.filter(weights, eqx.is_inexact_array)
    return eqx.combine(optax.incremental_update(towards, arrays, rate), rest)
