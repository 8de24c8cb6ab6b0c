"""Errors of JAX and of solvers as sentences, and modules of the working directory."""

import sys

import pytest

from lagdyna.cli._mistakes import explained, use_working_directory


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Unable to initialize backend 'cuda': ", "`JAX_PLATFORMS` was 'cuda'"),
        ("Unknown backend cuda. Available: ['cpu']", "`JAX_PLATFORMS` was 'cuda'"),
        ("RESOURCE_EXHAUSTED: Out of memory\nallocating", "needs more memory"),
        ("The linear solver returned non-finite output.", "mass matrix of the equations"),
    ],
)
def test_errors_of_libraries_are_sentences(text, said, monkeypatch) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    sentence = explained(RuntimeError(text))
    assert sentence is not None
    assert said in sentence
    assert "\n" not in sentence


def test_other_errors_are_not_explained() -> None:
    assert explained(RuntimeError("something else")) is None


def test_modules_of_the_working_directory_are_found(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    use_working_directory("Pendulum-v1")
    assert str(tmp_path) not in sys.path
    use_working_directory("myenv:My/Env-v0")
    assert str(tmp_path) in sys.path
