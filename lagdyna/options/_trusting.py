"""Trust in the code that the config of a run names, where it is passed to no function."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_trusting: ContextVar[bool] = ContextVar("trusting", default=False)


@contextmanager
def trusting(trust: bool) -> Iterator[None]:
    """Create a context in which `is_trusted` returns `trust`."""
    token = _trusting.set(trust)
    try:
        yield
    finally:
        _trusting.reset(token)


def is_trusted() -> bool:
    """Whether code that the config of a run names may be run, by what the user said."""
    return _trusting.get()
