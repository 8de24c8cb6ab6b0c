"""A training run whose model has learned nothing says so."""

import pytest

from lagdyna.runs._directory import model_notes

from ..small import small_config


@pytest.mark.parametrize(
    ("loss", "norm", "says"),
    [(0.5, "pseudo-huber", False), (1.2, "pseudo-huber", True), (0.85, "squared", True)],
)
def test_a_model_that_is_no_better_than_no_change_is_said(loss, norm, says):
    config = small_config(loss={"name": "one-step", "norm": norm})
    notes = model_notes(config, {"model_loss": loss})
    assert bool(notes) == says
    assert model_notes(config, {}) == []
    if says:
        assert "lagdyna check-task" in notes[0]
