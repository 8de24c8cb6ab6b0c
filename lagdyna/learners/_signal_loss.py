"""Learning of sensors and motors together with the model behind them."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree, Scalar

from ..data import Experience
from ..mechanics import Signals
from ._losses import AbstractSquaredLoss, InverseLoss


class SignalModel(NamedTuple):
    """Model of true states, and the sensors and motors before it; a PyTree.

    **Attributes:** `model`, which a loss takes; `signals`, see [`lagdyna.mechanics.Signals`][].
    """

    model: PyTree
    signals: Signals


class SignalRows(NamedTuple):
    """Rows of recorded data, as a loss takes them, and the place of their controls.

    **Attributes:** `rows`; `place`, the index of each row's control in `SignalLoss.controls`,
    `None` if no earlier control acts.
    """

    rows: PyTree
    place: Int[Array, "..."] | None


class SignalLoss(AbstractSquaredLoss[SignalModel, SignalRows]):
    """Loss on recorded data that sensors and motors have changed.

    States become true ones and controls those that act, as [`lagdyna.mechanics.Signals`][]
    says; then the loss of the model is that of `loss`. Errors of forces are divided by the
    gain, or a gain of zero would minimise them.

    **Arguments:**

    - `loss`: of the model on true rows: an `Experience`, windows of it with their mask, or
        [`lagdyna.learners.Accelerations`][].
    - `controls`: all recorded controls, at equal steps, shape `(samples, m)`. Each trajectory
        is preceded by `signals.past` and followed by `signals.future` further controls. `None`
        if no earlier control acts.
    - `ahead`: as of [`lagdyna.mechanics.Signals.weights`][].
    """

    loss: AbstractSquaredLoss[Any, Any]
    controls: Float[Array, "samples m"] | None = None
    ahead: float = eqx.field(static=True, default=0.0)

    def __call__(self, model: SignalModel, batch: SignalRows) -> Scalar:
        return self._loss(model.signals)(model.model, self.true_rows(model.signals, batch))

    def errors(self, model: SignalModel, row: SignalRows) -> Float[Array, " k"]:
        """Compute the errors of the model on a true row."""
        true = self.true_rows(model.signals, row)
        return self._loss(model.signals).errors(model.model, true)

    def observed_errors(self, model: SignalModel, row: SignalRows) -> Float[Array, " k"]:
        """Compute the errors of the model, `nan` where the target is missing."""
        true = self.true_rows(model.signals, row)
        return self._loss(model.signals).observed_errors(model.model, true)

    def true_rows(self, signals: Signals, batch: SignalRows) -> PyTree:
        """Convert recorded rows, one or a batch, to true states and acting controls."""
        rows, mask = batch.rows, None
        if isinstance(rows, tuple) and not isinstance(rows, Experience):
            rows, mask = rows
        action = rows.action
        if self.controls is not None and batch.place is not None:
            action = self._filtered(signals, self.controls, batch.place)
        action, state = signals.acting(action), signals.true(rows.state)
        if isinstance(rows, Experience):
            following = signals.true(rows.next_state)
            true = rows._replace(state=state, action=action, next_state=following)
        else:
            true = eqx.tree_at(lambda x: (x.state, x.action), rows, (state, action))
        return true if mask is None else (true, mask)

    def _filtered(
        self, signals: Signals, controls: Float[Array, "samples m"], place: Int[Array, "..."]
    ) -> Float[Array, "... m"]:
        """Apply delay and lag to the controls at some places."""
        weights = signals.weights(self.ahead).astype(controls.dtype)
        if place.size < len(controls):
            taps = np.arange(signals.future, -signals.past - 1, -1)
            return jnp.einsum("l,...lm->...m", weights, controls[place[..., None] + taps])
        # Of as many rows as samples, each with all its taps, there would be too much memory.
        columns = [jnp.convolve(column, weights) for column in controls.T]
        return jnp.stack(columns, axis=1)[place + signals.future]

    def _loss(self, signals: Signals) -> AbstractSquaredLoss[Any, Any]:
        gain = signals.gain
        if gain is None or not isinstance(self.loss, InverseLoss):
            return self.loss
        return InverseLoss(self.loss.scale * gain.astype(self.loss.scale.dtype))
