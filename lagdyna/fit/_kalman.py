from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Scalar

from ._learner import AbstractLearner, LearnerState, Metrics, all_finite
from ._losses import AbstractSquaredLoss

Model = TypeVar("Model")
Batch = TypeVar("Batch")
Blocks = Literal["full", "layer", "node", "weight"]


class KalmanState(NamedTuple):
    """What an extended Kalman filter knows beside the mean, which is the model itself.

    **Attributes:**

    - `covariance`: of each group of weights, `(blocks, size, size)`.
    - `process`: variance that each weight gains in an update.
    - `noise`: variance of an observation, in the units of the loss's scales.
    - `updates`: how many there have been.
    """

    covariance: tuple[Float[Array, "_ _ _"], ...]
    process: Scalar
    noise: Scalar
    updates: Scalar


class KalmanLearner(AbstractLearner[Model, Batch]):
    """The extended Kalman filter: the weights are a state, a batch is an observation of it.

        P- = P / fading + process I
        S = J P- J' + R,   m = m- + P- J' S^-1 (y - h(m-)),   P = P- - P- J' S^-1 J P-

    (Das et al. 2026, eq. 7-13.) What is observed is that the errors of the loss are zero,
    up to noise: with [`lagdyna.fit.OneStepLoss`][] the next state through the solver, with
    [`lagdyna.fit.ForwardLoss`][] accelerations, with [`lagdyna.fit.InverseLoss`][] torques.
    Entries that are `nan` are missing and are skipped, not imputed.

    The covariance may be kept in `blocks` that are taken for independent while they share
    the covariance `S` of innovations (Puskorius & Feldkamp 1991): `"full"` is one block of
    all weights, and holds their square; `"layer"` has one for the weights and biases of
    each layer, `"node"` one for the weights into each unit, `"weight"` variances alone.

    **Arguments:**

    - `loss`: a [`lagdyna.fit.AbstractSquaredLoss`][].
    - `blocks`: as above.
    - `prior`: standard deviation of each weight about its initial value.
    - `noise`: standard deviation of an observation, in the units of the loss's scales (of
        a [`lagdyna.fit.ResidualLoss`][], whose rows are errors and residuals, in units of
        their mean); `None` estimates it from innovations, before the update that uses it.
    - `noise_floor`: below which no estimate goes.
    - `process`: standard deviation of what each weight wanders in the first update.
    - `process_decay`: what the process variance is multiplied by after each update.
    - `fading`: the forgetting factor, 1 for none.
    - `repeats`: how often each datum will be seen. Its noise variance is multiplied by it,
        so that seeing a datum so often counts it once.
    - `iterations`: of each update. More than one linearise again about the mean they have
        found, and keep the prior, so that nothing is counted twice.

    **Raises:** `ValueError` if one of them is out of its range.
    """

    loss: AbstractSquaredLoss[Model, Batch]
    blocks: Blocks = eqx.field(static=True, default="full")
    prior: float = eqx.field(static=True, default=1.0)
    noise: float | None = eqx.field(static=True, default=None)
    noise_floor: float = eqx.field(static=True, default=1e-3)
    process: float = eqx.field(static=True, default=0.0)
    process_decay: float = eqx.field(static=True, default=1.0)
    fading: float = eqx.field(static=True, default=1.0)
    repeats: float | Scalar = 1.0
    iterations: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        positive = {
            "prior": self.prior,
            "noise": 1.0 if self.noise is None else self.noise,
            "noise_floor": self.noise_floor,
            "repeats": self.repeats if isinstance(self.repeats, float) else 1.0,
            "iterations": self.iterations,
        }
        for name, value in positive.items():
            if not value > 0:
                raise ValueError(f"`{name}` must be positive, got {value}")
        if not self.process >= 0:
            raise ValueError(f"`process` must not be negative, got {self.process}")
        for name, value in (("process_decay", self.process_decay), ("fading", self.fading)):
            if not 0 < value <= 1:
                raise ValueError(f"`{name}` must be above 0 and at most 1, got {value}")
        if self.blocks not in get_args(Blocks):
            raise ValueError(
                f"`blocks` must be one of {', '.join(get_args(Blocks))}, got {self.blocks!r}"
            )

    def init(self, model: Model) -> LearnerState:
        groups = _grouped(eqx.filter(model, eqx.is_inexact_array), self.blocks)
        dtype = jnp.result_type(*groups)
        covariance = tuple(
            jnp.tile(self.prior**2 * jnp.eye(group.shape[-1], dtype=dtype), (len(group), 1, 1))
            for group in groups
        )
        noise = 1.0 if self.noise is None else self.noise**2
        scalars = (jnp.asarray(x, dtype) for x in (self.process**2, noise, 0.0))
        return KalmanState(covariance, *scalars)

    def update(
        self, model: Model, state: LearnerState, batch: Batch
    ) -> tuple[Model, LearnerState, Metrics]:
        weights, rest = eqx.partition(model, eqx.is_inexact_array)

        def observe(weights: PyTree, row: PyTree) -> Array:
            """Errors of a row, each in the units of its scale."""
            errors = self.loss.errors(eqx.combine(weights, rest), row)
            return errors * jnp.sqrt(errors.shape[0])

        prior = self._predicted(state)
        at = _linearised(observe, weights, batch, self.blocks)
        seen = jnp.maximum(jnp.sum(at.seen), 1)
        noise = self._noise(state, jnp.sum(at.error**2) / seen)
        found = _conditioned(at, prior, self.repeats * noise, at.error)
        log_evidence = found.log_evidence / seen
        for _ in range(self.iterations - 1):
            here = _moved(weights, found.step, self.blocks)
            again = _linearised(observe, here, batch, self.blocks)
            pairs = zip(again.jacobian, found.step, strict=True)
            back = again.error - sum(jnp.einsum("ebi,bi->e", j, s) for j, s in pairs)
            found = _conditioned(again, prior, self.repeats * noise, back)
        usable = all_finite((found, noise)) & jnp.any(at.seen > 0)
        kept = lambda new, old: jax.tree.map(  # noqa: E731
            lambda x, y: jnp.where(usable, x, y), new, old
        )
        moved = _moved(
            weights, kept(found.step, jax.tree.map(jnp.zeros_like, found.step)), self.blocks
        )
        # What is not usable has no gain: nothing as large as a covariance is chosen from.
        gain = kept(found.gain, jax.tree.map(jnp.zeros_like, found.gain))
        if prior is not state.covariance:
            prior = kept(prior, state.covariance)
        covariance = tuple(map(_downdated, prior, gain))
        process = state.process * self.process_decay
        rest_of_state = (state.process, state.noise, state.updates)
        after = KalmanState(
            covariance, *kept((process, noise, state.updates + 1), rest_of_state)
        )
        metrics = {
            "loss": jnp.sum(at.error**2) / seen,
            "skipped": 1.0 - usable,
            "noise": jnp.sqrt(after.noise),
            "log_evidence": log_evidence,
        }
        return eqx.combine(moved, rest), after, metrics

    def _predicted(self, state: KalmanState) -> tuple[Float[Array, "_ _ _"], ...]:
        """The covariance before the observation."""
        if self.fading == 1 and self.process == 0:
            return state.covariance
        return tuple(
            p / self.fading + state.process * jnp.eye(p.shape[-1], dtype=p.dtype)
            for p in state.covariance
        )

    def _noise(self, state: KalmanState, found: Scalar) -> Scalar:
        """The variance of an observation, by what the innovations have been until now."""
        if self.noise is not None:
            return state.noise
        share = 1 / (1 + jnp.minimum(state.updates, 20))
        mean = (1 - share) * state.noise + share * found
        return jnp.maximum(mean, self.noise_floor**2)


class _Linear(NamedTuple):
    """Errors of a batch about some weights, to first order.

    **Attributes:** `error`, 0 where an entry is missing; `seen`, 1 where none is;
    `jacobian`, of each group of weights.
    """

    error: Float[Array, " errors"]
    seen: Float[Array, " errors"]
    jacobian: tuple[Float[Array, "_ _ _"], ...]


class _Conditioned(NamedTuple):
    """What an observation makes of a prior.

    **Attributes:** `step`, of the mean; `gain`, whose square is what the covariance loses.
    """

    step: tuple[Float[Array, "_ _"], ...]
    gain: tuple[Float[Array, "_ _ _"], ...]
    log_evidence: Scalar


def _linearised(
    observe: Callable[[PyTree, PyTree], Array], weights: PyTree, batch: PyTree, blocks: Blocks
) -> _Linear:
    """Row by row, since each row's errors depend on that row alone."""

    def of_row(row: PyTree) -> tuple[Array, Any]:
        error, pull_back = jax.vjp(lambda w: observe(w, row), weights)
        (jacobian,) = jax.vmap(pull_back)(jnp.eye(error.shape[0], dtype=error.dtype))
        return error, jax.vmap(lambda j: _grouped(j, blocks))(jacobian)

    error, jacobian = jax.vmap(of_row)(batch)
    error = error.reshape(-1)
    seen = ~jnp.isnan(error)
    parts = tuple(
        jnp.where(seen[:, None, None], part.reshape(error.size, *part.shape[2:]), 0)
        for part in jacobian
    )
    return _Linear(jnp.where(seen, error, 0), seen.astype(error.dtype), parts)


def _conditioned(
    at: _Linear,
    prior: tuple[Float[Array, "_ _ _"], ...],
    noise: Scalar,
    error: Float[Array, " errors"],
) -> _Conditioned:
    """The posterior of the weights, given that the errors are zero up to noise.

    A missing entry has no gradient and no error, and so changes nothing.
    """
    spread = [jnp.einsum("ebi,bij->ebj", j, p) for j, p in zip(at.jacobian, prior, strict=True)]
    flat = lambda parts: jnp.concatenate(  # noqa: E731
        [part.reshape(error.size, -1) for part in parts], axis=-1
    )
    explained = flat(spread) @ flat(at.jacobian).T
    # Noise that is lost in the rounding of what the weights explain would leave neither
    # this matrix nor the covariance definite: so little of it cannot be resolved.
    largest = jnp.max(jnp.diagonal(explained))
    noise = jnp.maximum(noise, 8 * error.size * jnp.finfo(error.dtype).eps * largest)
    factor = jnp.linalg.cholesky(explained + noise * jnp.eye(error.size, dtype=error.dtype))
    whitened = jax.scipy.linalg.solve_triangular(factor, error, lower=True)
    gains = [
        jax.scipy.linalg.solve_triangular(
            factor, s.reshape(error.size, -1), lower=True
        ).reshape(s.shape)
        for s in spread
    ]
    step = tuple(-jnp.einsum("ebi,e->bi", gain, whitened) for gain in gains)
    logs = jnp.log(jnp.diagonal(factor)) + 0.5 * whitened**2 + 0.5 * jnp.log(2 * jnp.pi)
    return _Conditioned(step, tuple(gains), -jnp.sum(at.seen * logs))


def _downdated(
    prior: Float[Array, "_ _ _"], gain: Float[Array, "_ _ _"]
) -> Float[Array, "_ _ _"]:
    """The covariance that is left, symmetric, and definite in spite of rounding."""
    left = prior - jnp.einsum("ebi,ebj->bij", gain, gain)
    # What rounding could take from the smallest variances is given back.
    largest = jnp.max(jnp.diagonal(prior, axis1=-2, axis2=-1))
    spare = 4 * jnp.finfo(prior.dtype).eps * largest
    spare = jnp.where(jnp.any(gain != 0), spare, 0)
    left = 0.5 * (left + jnp.swapaxes(left, -1, -2))
    return left + spare * jnp.eye(prior.shape[-1], dtype=prior.dtype)


def _grouped(weights: PyTree, blocks: Blocks) -> tuple[Float[Array, "_ _"], ...]:
    """The weights in groups, of each the blocks that are independent."""
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


def _width(leaf: Array) -> int:
    """How many weights lead into one unit: a matrix's row, or a bias alone."""
    return leaf.shape[-1] if leaf.ndim > 1 else 1


def _moved(weights: PyTree, step: tuple[Float[Array, "_ _"], ...], blocks: Blocks) -> PyTree:
    """The weights, moved by steps in groups."""
    _, back = jax.vjp(lambda w: _grouped(w, blocks), weights)
    # Grouping only rearranges, so its transpose puts everything back in its place.
    (moves,) = back(step)
    return jax.tree.map(jnp.add, weights, moves)
