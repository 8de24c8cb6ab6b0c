import gc
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

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
        _compilations.append(str(kwargs.get("fun_name")))


jax.monitoring.register_event_duration_secs_listener(_record)

# Tracing makes many objects, few of them garbage in cycles.
gc.set_threshold(20_000, 20, 20)


def pytest_configure(config: pytest.Config) -> None:
    """Most of the time of most tests is the compiler's: it is told to hurry, and what one
    worker or one `lagdyna` has compiled the others, which inherit this, need not.
    """
    if "XLA_FLAGS" not in os.environ:
        known = _HURRY if _are_known(*_HURRY) else [f for f in _HURRY if _are_known(f)]
        os.environ["XLA_FLAGS"] = " ".join(known)
    where, seconds = _PROGRAMS
    if where not in os.environ:
        os.environ[where] = tempfile.mkdtemp(prefix="lagdyna-tests-")
        os.environ.setdefault(seconds, "0")  # small programs too, there are many of them
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(where), ignore_errors=True))
        # It has been imported, and read its variables, already.
        jax.config.update(where.lower(), os.environ[where])
        jax.config.update(seconds.lower(), float(os.environ[seconds]))


_HURRY = (
    "--xla_backend_optimization_level=0",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_llvm_disable_expensive_passes=true",
    # Workers have a core each, and cutting a program in parts to compile at once costs time.
    "--xla_cpu_parallel_codegen_split_count=1",
    "--xla_cpu_multi_thread_eigen=false",
    "--xla_cpu_opt_preset=CPU_OPT_PRESET_FAST_COMPILE",
)
_PROGRAMS = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")


def _are_known(*flags: str) -> bool:
    """Asked in another process, since XLA ends one that gives it a flag of another version."""
    command = [sys.executable, "-c", "import jax; jax.devices()"]
    environment = {**os.environ, "XLA_FLAGS": " ".join(flags)}
    return subprocess.run(command, env=environment, capture_output=True).returncode == 0


# The files that take longest, in that order: a worker that begins one last works alone.
_LONG = (
    "training/test_catalogue.py",
    "cli/test_command_line.py",
    "runs/test_train.py",
    "training/test_trainer.py",
    "runs/test_resume.py",
    "runs/test_models.py",
    "training/test_seeds.py",
    "test_plugins.py",
    "identification/test_models.py",
    "identification/test_filters.py",
    "filters/test_filters.py",
    "training/test_model_learner.py",
    "runs/test_seeds.py",
    "identification/test_fit_model.py",
    "identification/test_units.py",
    "filters/test_kalman.py",
    "training/test_environment_loops.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the others keep their order."""
    place = {Path(__file__).parent / name: i for i, name in enumerate(_LONG)}
    items.sort(key=lambda item: place.get(item.path, len(_LONG)))


@pytest.fixture(scope="session")
def count_compilations() -> Callable[[], Callable[[], int]]:
    """Forgets all programs, and counts those that JAX compiles from then on."""

    def start() -> Callable[[], int]:
        jax.clear_caches()
        before = len(_compilations)
        return lambda: len(_compilations) - before

    return start


@pytest.fixture
def compilations(count_compilations: Callable[[], Callable[[], int]]) -> Callable[[], int]:
    """The number of programs compiled by JAX since the test began, none being there."""
    return count_compilations()


@pytest.fixture
def compiled() -> Callable[[], list[str]]:
    """The names of the programs compiled by JAX since the test began, none being there."""
    jax.clear_caches()
    before = len(_compilations)
    return lambda: _compilations[before:]


@pytest.fixture(autouse=True, scope="module")
def _forget_programs() -> Iterator[None]:
    """Every compiled program maps memory, and a process may have 65,530 maps on Linux: a
    worker that keeps those of all the tests is killed. Those of some are shared by the others.
    """
    yield
    if _maps() > 45_000:
        jax.clear_caches()


def _maps() -> float:
    """How many this process has; where nobody counts them, too many."""
    try:
        return len(Path("/proc/self/maps").read_bytes().splitlines())
    except OSError:
        return math.inf


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished runs and fits draw nothing, which takes as long as the rest of a small one. For
    tests of something else; `runs/test_train.py` and `identification/test_models.py` look at
    pictures.
    """
    monkeypatch.setattr("lagdyna.runs._directory.draw", lambda *_: None)
    monkeypatch.setattr("lagdyna.runs._fit_updates.draw_fit", lambda *_: None)


@pytest.fixture
def x64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=["float32", "float64"])
def tolerance(request: pytest.FixtureRequest) -> Iterator[float]:
    """The test runs in both precisions; this is what it may be off by, relative."""
    with jax.enable_x64(request.param == "float64"):
        yield {"float32": 1e-3, "float64": 1e-10}[request.param]
