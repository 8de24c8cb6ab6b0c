"""Damaged files give one sentence or an unchanged result, whatever the damage is.

`benchmarks/damage.py` does the same many times over.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ..damage import LIMIT, Target, damage, fingerprint, outcome, restored, targets

EXAMPLES = int(os.environ.get("LAGDYNA_DAMAGE", "200"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Target, str]]:
    """Every kind of directory and file, and the digest of what is read of it."""
    root, every = tmp_path_factory.mktemp("whole"), EXAMPLES > 200
    return [(each, fingerprint(each.read(each.path))) for each in targets(root, every)]


@contextmanager
def limited() -> Iterator[None]:
    """Raise an error in a block that takes too long."""

    def late(*_: object) -> None:
        raise TimeoutError(f"it took more than {LIMIT:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_any_damage_is_noticed_or_does_not_matter(
    whole: list[tuple[Target, str]], seed: int, data: Any
) -> None:
    target, before = data.draw(st.sampled_from(whole), label="target")
    path = data.draw(st.sampled_from(target.files), label="file")
    others = [each for other, _ in whole for each in other.files]
    content = path.read_bytes()
    try:
        what = damage(path, Random(seed), others)
        with limited():
            found = outcome(target, before)
    finally:
        restored(path, content)
    assert found.kind in ("refused", "unchanged", "accepted"), (what, found.said)


def test_what_was_restored_is_whole(whole: list[tuple[Target, str]]) -> None:
    for target, before in whole:
        assert outcome(target, before).kind in ("unchanged", "accepted"), target.name
