"""Writing of reports."""

from pathlib import Path

from .._errors import UserError
from ..results import RUN_FILE, kind_of, write_text
from ._compare import compare_page
from ._directory import REPORT
from ._fit import fit_page
from ._page import render
from ._plan import plan_page
from ._reproduction import reproduction_page
from ._training import seeds_page, training_page

_KINDS = {
    "train": (training_page, "summary.json"),
    "seeds": (seeds_page, "summary.json"),
    "fit": (fit_page, "report.json"),
    "reproduction": (reproduction_page, "results.json"),
}

# Directories that hold no run, by the file that holds their result.
_OTHERS = {"compare.json": compare_page, "plan.json": plan_page}


def write_report(directory: str | Path) -> Path:
    """Write `report.html` into the directory of a run, from the files in it.

    The page has the result, figures, tables, config, versions and commands to go on. It is one
    file without scripts that needs no network. The directory is that of a finished training
    run, fit or reproduction, of a comparison or of a plan. An earlier report is replaced.

    **Returns:** the path of the report.

    **Raises:** [`lagdyna.UserError`][] if the directory holds none of these, the run is not
    finished or damaged, or the report cannot be written.
    """
    directory = Path(directory)
    page = None
    kind = kind_of(directory)
    if kind == "sweep":
        raise UserError(
            f"`directory` was {str(directory)!r}, which holds a sweep; the directory of one of "
            "its trials, as trial-0, is accepted, and `lagdyna compare` lists all of them"
        )
    if kind is not None:
        page, result = _KINDS[kind]
        if not (directory / result).is_file():
            raise UserError(
                f"`directory` was {str(directory)!r}, which holds a run that is not finished; "
                "once `lagdyna resume` has finished it, it is accepted"
            )
    else:
        for name, other in _OTHERS.items():
            if (directory / name).is_file():
                page = other
    if page is None:
        raise UserError(
            f"`directory` was {str(directory)!r}, which holds no run (no {RUN_FILE}), "
            "comparison or plan; one of these is accepted"
        )
    try:
        text = render(page(directory))
    except UserError:
        raise
    except OSError as error:
        raise UserError(
            f"{str(directory)!r} cannot be read: {error}; a directory whose files can be read "
            "is accepted"
        ) from error
    except (
        ArithmeticError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        IndexError,
    ) as error:
        raise UserError(
            f"the files in {str(directory)!r} are damaged or of another version: no report can "
            f"be made of them ({type(error).__name__}: {error})"
        ) from error
    write_text(directory / REPORT, text)
    return directory / REPORT


def try_report(directory: str | Path) -> list[str]:
    """Write the report of a run that has ended, which must not fail for lack of one.

    **Returns:** a sentence for the notes of the run if the report could not be written, else
    nothing.
    """
    try:
        write_report(directory)
    except Exception as error:  # whatever it is, the run itself is whole
        return [f"{REPORT} was not written, and the run is whole without it: {error}"]
    return []
