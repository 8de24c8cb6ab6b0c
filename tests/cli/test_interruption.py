import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lagdyna.cli import _interruption
from lagdyna.cli._interruption import Stop, interruptible, signals
from lagdyna.results import LOCK_FILE, locked

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Careless:
    """Object whose destructor is interrupted; Python drops exceptions raised there."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_interruption, "_AGAIN", 0.1)


@pytest.fixture(autouse=True)
def hang_up_is_heard() -> Iterator[None]:
    """Undo `nohup`, under which the tests may run; programs that they start inherit this."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_an_interruption_dropped_in_a_destructor_is_repeated() -> None:
    before = [signal.getsignal(number) for number in (*NUMBERS, signal.SIGALRM)]
    survived = False
    with pytest.raises(Stop), signals.handled():
        Careless()
        survived = True  # the first exception is dropped
        time.sleep(10)
    assert survived
    assert [signal.getsignal(number) for number in (*NUMBERS, signal.SIGALRM)] == before
    time.sleep(0.2)  # no timer is left


def test_an_interruption_dropped_by_the_garbage_collector_is_repeated() -> None:
    def interrupt(phase: str, info: dict[str, int]) -> None:
        gc.callbacks.remove(interrupt)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.05)

    with pytest.raises(Stop) as stop, signals.handled():
        gc.callbacks.append(interrupt)
        gc.collect()
        time.sleep(10)
    assert stop.value.number == signal.SIGTERM


def test_an_interruption_that_a_library_drops_is_repeated() -> None:
    def careless() -> None:
        try:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(10)
        except BaseException:
            pass

    with pytest.raises(Stop) as stop, signals.handled():
        careless()
        time.sleep(10)
    assert stop.value.number == signal.SIGHUP


def test_an_interruption_that_is_noticed_comes_once() -> None:
    with pytest.raises(Stop), signals.handled():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
    time.sleep(0.2)


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.handled():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_interrupted_run_says_how_to_resume_it(
    capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    def program() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interruptible(program, tmp_path / "one")
    assert "interrupted; nothing has been written" in capsys.readouterr().out
    assert interruptible(lambda: 3, tmp_path) == 3


# Ignores every interruption, as a long call of a compiler does, within a run directory.
STUBBORN = """
import os, signal, sys, threading, time
from pathlib import Path
from lagdyna.cli import _interruption
from lagdyna.results import locked
_interruption._AT_LAST = 0.2
run = Path(sys.argv[1])
def program():
    with locked(run):
        (run / ".lagdyna-half.json").write_text("{")
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        signal.signal(signal.SIGTERM, lambda *_: None)
        print("ready", flush=True)
        time.sleep(60)
with _interruption.signals.handled():
    _interruption.interruptible(program, run)
"""


def test_a_process_that_cannot_be_interrupted_ends_and_leaves_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN, str(run)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "interrupted; nothing has been written" in said
    assert not run.exists()


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_during_the_imports_stops_the_command(number: int, tmp_path: Path) -> None:
    wait = "import sys, time; print('ready', flush=True); time.sleep(60)"
    (tmp_path / "cyclopts.py").write_text(wait)  # takes the place of the package
    process = subprocess.Popen(
        [sys.executable, "-m", "lagdyna", "tasks"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 128 + number


def test_a_second_process_is_refused_and_a_killed_one_is_not_waited_for(
    tmp_path: Path,
) -> None:
    text = (
        "import sys, time; from pathlib import Path; from lagdyna.results import locked\n"
        "with locked(Path(sys.argv[1])): print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", text, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    said = rf"is in use by process {process.pid} on host .* wait until it ends"
    with pytest.raises(ValueError, match=said), locked(tmp_path):
        pass
    (tmp_path / ".lagdyna-half.json").write_text("{")
    process.kill()
    process.communicate()
    assert (tmp_path / LOCK_FILE).exists()
    with locked(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]
    assert not [*tmp_path.iterdir()]
