import abc
from typing import Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Scalar

from ._triangular import inverse_factor

Blocks = Literal["full", "layer", "node", "weight"]
Parts = tuple[Float[Array, "..."], ...]


class AbstractCovariance(eqx.Module):
    """The covariance of a model's weights, in whatever form it is kept.

    Weights are taken in groups, arrays of shape `(blocks, size)`, those of the blocks of
    [`lagdyna.learners.KalmanLearner`][]; a Jacobian has a leading axis of errors before them.
    """

    @abc.abstractmethod
    def times(self, directions: Parts) -> Parts:
        """The covariance times each of some directions in the weights."""

    @abc.abstractmethod
    def deviation(self, key: PRNGKeyArray) -> Parts:
        """A random deviation of the weights from their mean, without leading axes."""

    @abc.abstractmethod
    def grouped(self, weights: PyTree) -> Parts:
        """The weights in the groups of this covariance, without leading axes."""

    def ungrouped(self, parts: Parts, like: PyTree) -> PyTree:
        """Groups as a tree again, with the structure of `like`."""
        # Grouping only rearranges, so its transpose puts everything back in its place.
        _, back = jax.vjp(self.grouped, like)
        return back(parts)[0]


class BlockCovariance(AbstractCovariance):
    """Blocks of weights that are taken for independent of each other.

    **Attributes:** `blocks`, of each group, `(blocks, size, size)`.
    """

    blocks: tuple[Float[Array, "_ _ _"], ...]
    grouping: Blocks = eqx.field(static=True)

    def grouped(self, weights: PyTree) -> Parts:
        return grouped(weights, self.grouping)

    @classmethod
    def isotropic(cls, weights: PyTree, variance: float, grouping: Blocks) -> "BlockCovariance":
        """The same variance for every weight."""
        groups = grouped(weights, grouping)
        blocks = tuple(
            jnp.tile(variance * jnp.eye(group.shape[-1], dtype=group.dtype), (len(group), 1, 1))
            for group in groups
        )
        return cls(blocks, grouping)

    def times(self, directions: Parts) -> Parts:
        return tuple(
            jnp.einsum("bei,bij->bej", d[..., 0, :].reshape(1, -1, d.shape[-1]), p).reshape(
                d.shape
            )
            if len(p) == 1
            else jnp.einsum("...bi,bij->...bj", d, p)
            for d, p in zip(directions, self.blocks, strict=True)
        )

    def predicted(self, fading: float, process: Scalar | None) -> "BlockCovariance":
        """After forgetting, and after a step of the random walk unless that is `None`."""
        if fading == 1 and process is None:
            return self
        more = 0.0 if process is None else process
        blocks = tuple(p / fading + more * _eye(p) for p in self.blocks)
        return BlockCovariance(blocks, self.grouping)

    def conditioned(self, jacobian: Parts, gain: Parts, noise: Scalar) -> "BlockCovariance":
        """After an observation, by its `gain`, whose square the covariance loses."""
        del jacobian, noise
        blocks = tuple(_downdated(p, g) for p, g in zip(self.blocks, gain, strict=True))
        return BlockCovariance(blocks, self.grouping)

    def deviation(self, key: PRNGKeyArray) -> Parts:
        keys = jax.random.split(key, len(self.blocks))
        return tuple(
            jnp.einsum(
                "bij,bj->bi",
                jnp.linalg.cholesky(p),
                jax.random.normal(k, p.shape[:2], p.dtype),
            )
            for k, p in zip(keys, self.blocks, strict=True)
        )


class LowRankCovariance(AbstractCovariance):
    """The inverse of a diagonal and some directions: `(diag(precision) + F F')^-1`.

    Observations add directions to `F`; those that say least are counted in the diagonal
    alone, once there are more than columns (Chang, Durán-Martín, Shestopaloff, Jones &
    Murphy 2023, Low-rank extended Kalman filtering for online learning of neural networks).

    **Attributes:** `precision`, `(1, size)`; `directions`, the columns of `F`,
    `(rank, 1, size)`.
    """

    precision: Float[Array, "1 size"]
    directions: Float[Array, "rank 1 size"]

    def grouped(self, weights: PyTree) -> Parts:
        return grouped(weights, "full")

    @classmethod
    def isotropic(cls, weights: PyTree, variance: float, rank: int) -> "LowRankCovariance":
        """The same variance for every weight, and no direction yet."""
        (group,) = grouped(weights, "full")
        return cls(
            jnp.full_like(group, 1 / variance), jnp.zeros((rank, *group.shape), group.dtype)
        )

    def times(self, directions: Parts) -> Parts:
        # By a square root of the covariance, twice. The difference that it is would be lost
        # in rounding where data have left much less variance than there was.
        (d,) = directions
        u, inner = self._whitened()
        deviation = 1 / jnp.sqrt(self.precision)
        half = d * deviation
        half = half - (half @ u.T) @ inner @ u
        return ((half - (half @ u.T) @ inner.T @ u) * deviation,)

    def _whitened(self) -> tuple[Float[Array, "rank size"], Float[Array, "rank rank"]]:
        """`U = F' D^-1/2` and `X` with `(I - U'XU)(I - U'XU)' = (I + U'U)^-1`.

        By Andrews' formula (1968), as in [`lagdyna.learners.SigmaPointLearner`][].
        """
        u = self.directions[:, 0] / jnp.sqrt(self.precision)
        one = jnp.eye(len(u), dtype=u.dtype)
        factor = jnp.linalg.cholesky(u @ u.T + one)
        return u, inverse_factor(factor).T @ inverse_factor(factor + one)

    def _scaled(self) -> Float[Array, "rank size"]:
        return (self.directions / self.precision)[:, 0]

    def _inner(self) -> Float[Array, "rank rank"]:
        inner = self._scaled() @ self.directions[:, 0].T
        return inner + jnp.eye(len(inner), dtype=inner.dtype)

    def predicted(self, fading: float, process: Scalar | None) -> "LowRankCovariance":
        """As that of blocks."""
        precision, directions = self.precision * fading, self.directions * fading**0.5
        faded = LowRankCovariance(precision, directions)
        if process is None:
            return faded
        # P = D^-1 - V'V, with V the whitened scaled directions; with more on the diagonal
        # it is inverted again, the same way.
        shrunk = inverse_factor(jnp.linalg.cholesky(faded._inner()))
        v = shrunk @ faded._scaled()
        after = 1 / (1 / precision + process)
        scaled = v * after
        # I - V after V', of positive terms alone: rounding would leave the difference
        # indefinite where data say much.
        grown = precision**2 * process / (1 + precision * process)
        left = shrunk @ shrunk.T + (v * grown) @ v.T
        root = jnp.linalg.cholesky(left)
        found = inverse_factor(root) @ scaled
        return LowRankCovariance(after, found[:, None])

    def conditioned(self, jacobian: Parts, gain: Parts, noise: Scalar) -> "LowRankCovariance":
        """After an observation, by the `jacobian` of its errors and their variance."""
        del gain
        rank = len(self.directions)
        (j,) = jacobian
        every = jnp.concatenate([self.directions, j / jnp.sqrt(noise)])[:, 0]
        # The principal directions by the small matrix of their products.
        _, vectors = jnp.linalg.eigh(every @ every.T)
        turned = vectors.T @ every  # orthogonal, the longest last
        left, kept = turned[:-rank], turned[-rank:]
        return LowRankCovariance(self.precision + jnp.sum(left**2, axis=0), kept[:, None])

    def deviation(self, key: PRNGKeyArray) -> Parts:
        u, inner = self._whitened()
        z = jax.random.normal(key, self.precision.shape, u.dtype)
        return ((z - (z @ u.T) @ inner.T @ u) / jnp.sqrt(self.precision),)


class RootCovariance(AbstractCovariance):
    """The covariance of all weights by a square root of it: `root root'`.

    **Attributes:** `root`, `(size, size)`, not triangular.
    """

    root: Float[Array, "size size"]

    def grouped(self, weights: PyTree) -> Parts:
        return grouped(weights, "full")

    @classmethod
    def isotropic(cls, weights: PyTree, deviation: float) -> "RootCovariance":
        """The same standard deviation for every weight."""
        (group,) = grouped(weights, "full")
        return cls(deviation * jnp.eye(group.size, dtype=group.dtype))

    def times(self, directions: Parts) -> Parts:
        return ((directions[0] @ self.root) @ self.root.T,)

    def predicted(self, fading: float, process: Scalar | None) -> "RootCovariance":
        """As that of blocks."""
        root = self.root / fading**0.5
        if process is not None:
            more = process * jnp.eye(len(root), dtype=root.dtype)
            root = jnp.linalg.cholesky(root @ root.T + more)
        return RootCovariance(root)

    def deviation(self, key: PRNGKeyArray) -> Parts:
        z = jax.random.normal(key, (len(self.root),), self.root.dtype)
        return ((self.root @ z)[None],)


def grouped(weights: PyTree, blocks: Blocks) -> Parts:
    """The weights in groups, of each the blocks that are independent, `(blocks, size)`."""
    leaves = jax.tree_util.tree_leaves_with_path(weights)
    if blocks == "weight":
        return tuple(leaf.reshape(-1, 1) for _, leaf in leaves)
    if blocks == "node":
        return tuple(leaf.reshape(max(1, leaf.size // _width(leaf)), -1) for _, leaf in leaves)
    named: dict[str, list[Array]] = {}
    for path, leaf in leaves:
        group = jax.tree_util.keystr(path[:-1]) if blocks == "layer" else ""
        named.setdefault(group, []).append(leaf.reshape(-1))
    return tuple(jnp.concatenate(group)[None] for group in named.values())


def covariance_size(weights: PyTree, blocks: Blocks) -> int:
    """How many numbers the blocks of a covariance hold; shapes alone are looked at."""
    groups = jax.eval_shape(lambda w: grouped(w, blocks), weights)
    return sum(group.shape[0] * group.shape[1] ** 2 for group in groups)


def largest_block(weights: PyTree, blocks: Blocks) -> int:
    """How many weights the largest block has; shapes alone are looked at."""
    groups = jax.eval_shape(lambda w: grouped(w, blocks), weights)
    return max(group.shape[1] for group in groups)


def check_blocks(blocks: str) -> None:
    """Refuses what is no way to group weights.

    **Raises:** `ValueError`.
    """
    if blocks not in get_args(Blocks):
        raise ValueError(
            f"`blocks` must be one of {', '.join(get_args(Blocks))}, got {blocks!r}"
        )


def _width(leaf: Array) -> int:
    """How many weights lead into one unit: a matrix's row, or a bias alone."""
    return leaf.shape[-1] if leaf.ndim > 1 else 1


def _eye(block: Float[Array, "_ size size"]) -> Float[Array, "size size"]:
    return jnp.eye(block.shape[-1], dtype=block.dtype)


_FEW = 4  # errors whose squares are summed while the covariance passes by, once


def _downdated(
    prior: Float[Array, "_ _ _"], gain: Float[Array, "_ _ _"]
) -> Float[Array, "_ _ _"]:
    """The covariance that is left, definite in spite of rounding.

    A product with its own transpose is symmetric to the last bit, and so the difference.
    """
    eps = jnp.finfo(prior.dtype).eps
    if prior.shape[-1] == 1:
        # A variance that stands alone: by its quotient, which no rounding makes negative.
        lost = jnp.sum(gain[..., 0] ** 2, axis=0)[:, None, None] / prior
        return prior * jnp.maximum(1 - lost, 4 * eps)
    # What rounding could take is given beforehand, to each weight in proportion to its
    # variance: afterwards it would be one more pass over all of it.
    own = jnp.diagonal(prior, axis1=-2, axis2=-1)
    each = jnp.arange(prior.shape[-1])
    left = prior.at[:, each, each].add(jnp.where(jnp.any(gain != 0), 4 * eps * own, 0))
    if len(gain) <= _FEW:
        for g in gain:
            left = left - g[:, :, None] * g[:, None, :]
        return left
    if len(prior) == 1:
        return left - (gain[:, 0].T @ gain[:, 0])[None]
    return left - jnp.einsum("ebi,ebj->bij", gain, gain)
