import equinox as eqx
import optax
from jaxtyping import PyTree


def followed(targets: PyTree, learned: PyTree, rate: float) -> PyTree:
    """The targets, the fraction `rate` of the way towards what has been learned."""
    weights, rest = eqx.partition(targets, eqx.is_inexact_array)
    towards = eqx.filter(learned, eqx.is_inexact_array)
    return eqx.combine(optax.incremental_update(towards, weights, rate), rest)
