import json
from pathlib import Path

import jax
import pytest

from lagdyna.cli._precision import use_precision


@pytest.fixture
def _restored(monkeypatch: pytest.MonkeyPatch):
    before = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setenv("JAX_ENABLE_X64", "")
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.usefixtures("_restored")
def test_the_command_line_computes_in_the_precision_of_the_run(tmp_path: Path) -> None:
    for precision, dtype in (("float64", "float64"), ("float32", "float32")):
        (tmp_path / "run.json").write_text(json.dumps({"precision": precision}))
        use_precision(tmp_path)
        assert jax.numpy.zeros(()).dtype == dtype


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"precision": 64}'])
@pytest.mark.usefixtures("_restored")
def test_a_run_without_a_precision_changes_nothing(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    use_precision(tmp_path)
    assert jax.numpy.zeros(()).dtype == "float32"
