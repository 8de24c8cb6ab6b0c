import os
import sys

from ._interruption import Stop, signals


def main() -> None:
    """Run the `lagdyna` command.

    Exit codes: 0 on success, 1 if there is no plan or a task is wrong, 2 for a mistake of the
    user, 130 after Ctrl-C, 143 after TERM, 129 after HUP.
    """
    try:
        # Before the imports, which take a second.
        with signals.handled():
            _run()
    except Stop as stop:
        sys.exit(128 + stop.number)
    except KeyboardInterrupt:
        sys.exit(130)


def _run() -> None:
    from ._cache import leave_cache, use_cache

    # XLA's alarms about slow compilation would be written across the displays. Its errors come
    # as exceptions too.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    use_cache()
    try:
        _command()
    except BaseException as error:
        leave_cache(interrupted=not isinstance(error, SystemExit))
        raise
    leave_cache()


def _command() -> None:
    from cyclopts import CycloptsError

    from .._errors import UserError
    from ._app import app
    from ._mistakes import explained, sentence_of
    from ._options import as_settings
    from ._print import fail

    try:
        app(
            as_settings(sys.argv[1:]),
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except CycloptsError as error:
        fail(sentence_of(error))
    except UserError as error:
        fail(str(error))
    except (RuntimeError, AssertionError) as error:  # of JAX; they have no other base
        sentence = explained(error)
        if sentence is None:
            raise
        fail(sentence)
