import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, Scalar

from ._triangular import inverse_factor
from ._weight_groups import Blocks, Parts, group_weights, scaled_identities


class AbstractCovariance(eqx.Module):
    """Covariance of a model's weights.

    Weights are arranged in groups, one array of shape `(blocks, size)` a group; see `blocks`
    of [`lagdyna.filters.KalmanLearner`][]. A Jacobian in groups has a leading axis of errors.
    """

    @abc.abstractmethod
    def times(self, directions: Parts) -> Parts:
        """Multiply the covariance by each of some directions in weight space.

        **Arguments:**

        - `directions`: weights in groups, with any leading axes.

        **Returns:** the products, of the same shapes.
        """

    def rounded(self, directions: Parts, products: Float[Array, " errors"]) -> Scalar:
        """Compute the largest number that is rounded on the way to some products.

        **Arguments:**

        - `directions`: weights in groups.
        - `products`: of each direction with the covariance times itself.
        """
        del directions
        return jnp.max(products)

    @abc.abstractmethod
    def deviation(self, key: PRNGKeyArray) -> Parts:
        """Sample a deviation of the weights from their mean, in groups."""

    @abc.abstractmethod
    def grouped(self, weights: PyTree) -> Parts:
        """Arrange a tree of weights in the groups of this covariance."""

    def ungrouped(self, parts: Parts, like: PyTree) -> PyTree:
        """Arrange groups as a tree with the structure of `like`."""
        # Grouping is a permutation, so its transpose is its inverse.
        _, transpose = jax.vjp(self.grouped, like)
        return transpose(parts)[0]


class BlockCovariance(AbstractCovariance):
    """Block-diagonal covariance: blocks of weights are independent of each other.

    **Attributes:**

    - `blocks`: covariance blocks of each group, shape `(blocks, size, size)`.
    - `grouping`: the option `blocks` of [`lagdyna.filters.KalmanLearner`][].
    """

    blocks: tuple[Float[Array, "_ _ _"], ...]
    grouping: Blocks = eqx.field(static=True)

    def grouped(self, weights: PyTree) -> Parts:
        return group_weights(weights, self.grouping)

    @classmethod
    def isotropic(cls, weights: PyTree, variance: float, grouping: Blocks) -> "BlockCovariance":
        """Build the covariance with the same variance for all weights."""
        return cls(scaled_identities(weights, variance, grouping), grouping)

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
        """Apply forgetting, and process noise unless it is `None`.

        **Arguments:**

        - `fading`: forgetting factor; the covariance is divided by it.
        - `process`: process noise variance, added to the variance of each weight.
        """
        if fading == 1 and process is None:
            return self
        added = 0.0 if process is None else process
        blocks = tuple(p / fading + added * _eye(p) for p in self.blocks)
        return BlockCovariance(blocks, self.grouping)

    def conditioned(self, jacobian: Parts, gain: Parts, noise: Scalar) -> "BlockCovariance":
        """Condition the covariance on a batch: subtract the square of the `gain`.

        **Arguments:**

        - `jacobian`: not used.
        - `gain`: square-root gain `P- J' L^-T` in groups, with `L` the Cholesky factor of
            the innovation covariance.
        - `noise`: not used.
        """
        del jacobian, noise
        blocks = tuple(_downdate(p, g) for p, g in zip(self.blocks, gain, strict=True))
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


class GainCovariance(AbstractCovariance):
    """Covariance of all weights as a prior variance minus the square of all gains so far.

        P = variance I - sum over the batches of G' G

    It is that of one full block, at a smaller cost while there are fewer gains than weights:
    a batch adds its gains, and nothing of the size of the square of the weights is computed.
    Once all batches are used, the gains of a further one replace the oldest. That covariance
    is too large rather than too small.

    **Attributes:**

    - `variance`: prior variance of each weight, a scalar.
    - `gains`: square-root gains of each batch, shape `(batches, errors, size)`.
    - `used`: number of batches so far, a scalar.
    """

    variance: Scalar
    gains: Float[Array, "batches errors size"]
    used: Int[Array, ""]

    def grouped(self, weights: PyTree) -> Parts:
        return group_weights(weights, "full")

    @classmethod
    def isotropic(
        cls, weights: PyTree, variance: float, batches: int, errors: int
    ) -> "GainCovariance":
        """Build the covariance with the same variance for all weights and no gains.

        **Arguments:**

        - `batches`: number of batches whose gains are kept.
        - `errors`: number of errors of a batch at most.
        """
        (group,) = jax.eval_shape(lambda w: group_weights(w, "full"), weights)
        return cls(
            jnp.asarray(variance, group.dtype),
            jnp.zeros((batches, errors, group.shape[-1]), group.dtype),
            jnp.zeros((), int),
        )

    def times(self, directions: Parts) -> Parts:
        (d,) = directions
        flat = d.reshape(-1, d.shape[-1])

        def subtract(batch: Array, product: Array) -> Array:
            gain = self.gains[batch]
            return product - (flat @ gain.T) @ gain

        filled = jnp.minimum(self.used, len(self.gains))
        product = jax.lax.fori_loop(0, filled, subtract, self.variance * flat)
        return (product.reshape(d.shape),)

    def rounded(self, directions: Parts, products: Float[Array, " errors"]) -> Scalar:
        del products  # differences of these
        return self.variance * jnp.max(jnp.sum(directions[0] ** 2, axis=(-2, -1)))

    def predicted(self, fading: float, process: Scalar | None) -> "GainCovariance":
        """Return the covariance, which has neither forgetting nor process noise.

        **Raises:** `ValueError` if there is any.
        """
        if fading != 1 or process is not None:
            raise ValueError(
                "a GainCovariance takes neither forgetting nor process noise; use a "
                "BlockCovariance"
            )
        return self

    def conditioned(self, jacobian: Parts, gain: Parts, noise: Scalar) -> "GainCovariance":
        """Condition the covariance on a batch: keep its gain.

        **Arguments:** those of [`lagdyna.filters.BlockCovariance`][]; a batch may have fewer
        errors than there is space for.

        **Raises:** `ValueError` if it has more.
        """
        del jacobian, noise
        rows, most = gain[0][:, 0], self.gains.shape[1]
        if len(rows) > most:
            raise ValueError(f"a batch had {len(rows)} errors; at most {most} are accepted")
        rows = jnp.pad(rows, ((0, most - len(rows)), (0, 0)))
        gains = self.gains.at[self.used % len(self.gains)].set(rows)
        return GainCovariance(self.variance, gains, self.used + 1)

    def deviation(self, key: PRNGKeyArray) -> Parts:
        gains = self.gains.reshape(-1, self.gains.shape[-1])
        identity = jnp.eye(gains.shape[-1], dtype=gains.dtype)
        # Inflated by a bound of the rounding error of the difference.
        inflation = 1 + 8 * self.used * float(jnp.finfo(gains.dtype).eps)
        block = inflation * self.variance * identity - gains.T @ gains
        return BlockCovariance((block[None],), "full").deviation(key)


class LowRankCovariance(AbstractCovariance):
    """Covariance with a diagonal plus low-rank precision: `(diag(precision) + F F')^-1`.

    Observations add columns to `F`. Once there are more than `rank` of them, the `rank`
    principal directions are kept, and the others are added to the diagonal. The method is
    that of Chang, Durán-Martín, Shestopaloff, Jones & Murphy (2023), Low-rank extended Kalman
    filtering for online learning of neural networks.

    **Attributes:**

    - `precision`: the diagonal, shape `(1, size)`.
    - `directions`: the columns of `F`, shape `(rank, 1, size)`.
    """

    precision: Float[Array, "1 size"]
    directions: Float[Array, "rank 1 size"]

    def grouped(self, weights: PyTree) -> Parts:
        return group_weights(weights, "full")

    @classmethod
    def isotropic(cls, weights: PyTree, variance: float, rank: int) -> "LowRankCovariance":
        """Build the covariance with the same variance for all weights and `F = 0`."""
        (group,) = jax.eval_shape(lambda w: group_weights(w, "full"), weights)
        return cls(
            jnp.full(group.shape, 1 / variance, group.dtype),
            jnp.zeros((rank, *group.shape), group.dtype),
        )

    def times(self, directions: Parts) -> Parts:
        # Multiply by a square root of the covariance twice. The difference of the Woodbury
        # identity would be lost in rounding where little of the prior variance remains.
        (d,) = directions
        u, inner = self._whitened()
        deviation = 1 / jnp.sqrt(self.precision)
        half = d * deviation
        half = half - (half @ u.T) @ inner @ u
        return ((half - (half @ u.T) @ inner.T @ u) * deviation,)

    def _whitened(self) -> tuple[Float[Array, "rank size"], Float[Array, "rank rank"]]:
        """Compute `U = F' D^-1/2`, and `X` with `(I - U'XU)(I - U'XU)' = (I + U'U)^-1`.

        `D` is the diagonal precision. The formula is that of Andrews (1968), as in
        [`lagdyna.filters.SigmaPointLearner`][].
        """
        u = self.directions[:, 0] / jnp.sqrt(self.precision)
        identity = jnp.eye(len(u), dtype=u.dtype)
        factor = jnp.linalg.cholesky(u @ u.T + identity)
        return u, inverse_factor(factor).T @ inverse_factor(factor + identity)

    def _scaled_directions(self) -> Float[Array, "rank size"]:
        """Compute `F' D^-1`."""
        return (self.directions / self.precision)[:, 0]

    def _capacitance(self) -> Float[Array, "rank rank"]:
        """Compute the capacitance matrix `I + F' D^-1 F` of the Woodbury identity."""
        inner = self._scaled_directions() @ self.directions[:, 0].T
        return inner + jnp.eye(len(inner), dtype=inner.dtype)

    def predicted(self, fading: float, process: Scalar | None) -> "LowRankCovariance":
        """Apply forgetting and process noise, see [`lagdyna.filters.BlockCovariance`][]."""
        precision, directions = self.precision * fading, self.directions * fading**0.5
        faded = LowRankCovariance(precision, directions)
        if process is None:
            return faded
        # P = D^-1 - V'V by the Woodbury identity. Adding process noise to the diagonal and
        # inverting again, by the same identity, gives the new precision.
        inverse_root = inverse_factor(jnp.linalg.cholesky(faded._capacitance()))
        v = inverse_root @ faded._scaled_directions()
        new_precision = 1 / (1 / precision + process)
        scaled = v * new_precision
        # I - V diag(new_precision) V' as a sum of positive terms. Rounding could leave the
        # difference indefinite where the data determine the weights well.
        growth = precision**2 * process / (1 + precision * process)
        remainder = inverse_root @ inverse_root.T + (v * growth) @ v.T
        root = jnp.linalg.cholesky(remainder)
        new_directions = inverse_factor(root) @ scaled
        return LowRankCovariance(new_precision, new_directions[:, None])

    def conditioned(self, jacobian: Parts, gain: Parts, noise: Scalar) -> "LowRankCovariance":
        """Condition the covariance on a batch: add its directions and truncate to `rank`.

        **Arguments:**

        - `jacobian`: derivative of the errors in the weights, in groups.
        - `gain`: not used.
        - `noise`: variance of the errors.
        """
        del gain
        rank = len(self.directions)
        (j,) = jacobian
        stacked = jnp.concatenate([self.directions, j / jnp.sqrt(noise)])[:, 0]
        # The eigenvectors of the small Gram matrix give the principal directions.
        _, vectors = jnp.linalg.eigh(stacked @ stacked.T)
        principal = vectors.T @ stacked  # orthogonal, in ascending order of length
        dropped, kept = principal[:-rank], principal[-rank:]
        return LowRankCovariance(self.precision + jnp.sum(dropped**2, axis=0), kept[:, None])

    def deviation(self, key: PRNGKeyArray) -> Parts:
        u, inner = self._whitened()
        z = jax.random.normal(key, self.precision.shape, u.dtype)
        return ((z - (z @ u.T) @ inner.T @ u) / jnp.sqrt(self.precision),)


class RootCovariance(AbstractCovariance):
    """Covariance of all weights as the product of a square root: `root root'`.

    **Attributes:**

    - `root`: the square root, shape `(size, size)`, not triangular.
    """

    root: Float[Array, "size size"]

    def grouped(self, weights: PyTree) -> Parts:
        return group_weights(weights, "full")

    @classmethod
    def isotropic(cls, weights: PyTree, deviation: float) -> "RootCovariance":
        """Build the covariance with the same standard deviation for all weights."""
        ((root,),) = scaled_identities(weights, deviation, "full")
        return cls(root)

    def times(self, directions: Parts) -> Parts:
        return ((directions[0] @ self.root) @ self.root.T,)

    def predicted(self, fading: float, process: Scalar | None) -> "RootCovariance":
        """Apply forgetting and process noise, see [`lagdyna.filters.BlockCovariance`][]."""
        root = self.root / fading**0.5
        if process is not None:
            added = process * jnp.eye(len(root), dtype=root.dtype)
            root = jnp.linalg.cholesky(root @ root.T + added)
        return RootCovariance(root)

    def deviation(self, key: PRNGKeyArray) -> Parts:
        z = jax.random.normal(key, (len(self.root),), self.root.dtype)
        return ((self.root @ z)[None],)


def _eye(block: Float[Array, "_ size size"]) -> Float[Array, "size size"]:
    """Build the identity matrix of the size of one block."""
    return jnp.eye(block.shape[-1], dtype=block.dtype)


_MAX_UNROLLED = 4  # up to so many errors, their outer products are fused in one pass


def _downdate(
    prior: Float[Array, "_ _ _"], gain: Float[Array, "_ _ _"]
) -> Float[Array, "_ _ _"]:
    """Subtract the square of the gain, and keep the result positive definite.

    A matrix times its own transpose is exactly symmetric, so the difference is too.
    """
    eps = jnp.finfo(prior.dtype).eps
    if prior.shape[-1] == 1:
        # Scale single variances by a ratio, which rounding cannot make negative.
        ratio = jnp.sum(gain[..., 0] ** 2, axis=0)[:, None, None] / prior
        return prior * jnp.maximum(1 - ratio, 4 * eps)
    # Inflate each variance by a bound of its rounding error. Doing so before the subtraction
    # saves a second pass over the matrix.
    variances = jnp.diagonal(prior, axis1=-2, axis2=-1)
    index = jnp.arange(prior.shape[-1])
    inflation = jnp.where(jnp.any(gain != 0), 4 * eps * variances, 0)
    posterior = prior.at[:, index, index].add(inflation)
    if len(gain) <= _MAX_UNROLLED:
        for g in gain:
            posterior = posterior - g[:, :, None] * g[:, None, :]
        return posterior
    if len(prior) == 1:
        return posterior - (gain[:, 0].T @ gain[:, 0])[None]
    return posterior - jnp.einsum("ebi,ebj->bij", gain, gain)
