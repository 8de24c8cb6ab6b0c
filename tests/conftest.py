import os
import shutil
import tempfile
from collections.abc import Callable, Iterator

# Most of the time of most tests is the compiler's. It is told to hurry before it is there.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import jax
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "lagdyna",
    max_examples=25,
    deadline=None,  # the first example of each shape compiles
    derandomize=True,  # the same examples on every machine and every run
    # The fixtures below only set the precision; nothing of them changes between examples.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("lagdyna")

_compilations: list[str] = []


def _record(event: str, duration: float, **kwargs: object) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        _compilations.append(event)


jax.monitoring.register_event_duration_secs_listener(_record)


def pytest_configure(config: pytest.Config) -> None:
    """What one worker, or one `lagdyna`, has compiled, the others need not: all inherit this."""
    where = "JAX_COMPILATION_CACHE_DIR"
    if where not in os.environ:
        os.environ[where] = tempfile.mkdtemp(prefix="lagdyna-tests-")
        jax.config.update(where.lower(), os.environ[where])
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(where), ignore_errors=True))
    seconds = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
    jax.config.update(seconds.lower(), float(os.environ.setdefault(seconds, "0.3")))


@pytest.fixture
def compilations() -> Callable[[], int]:
    """The number of programs compiled by JAX since the test began."""
    before = len(_compilations)
    return lambda: len(_compilations) - before


@pytest.fixture(autouse=True, scope="module")
def _forget_programs() -> Iterator[None]:
    """Every compiled program maps memory, and a process may have 65,530 maps on Linux: a
    worker that keeps those of all the tests is killed.
    """
    yield
    jax.clear_caches()


@pytest.fixture
def x64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=["float32", "float64"])
def tolerance(request: pytest.FixtureRequest) -> Iterator[float]:
    """The test runs in both precisions; this is what it may be off by, relative."""
    with jax.enable_x64(request.param == "float64"):
        yield {"float32": 1e-3, "float64": 1e-10}[request.param]
