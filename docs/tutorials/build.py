"""Run the tutorials, and write their pages and notebooks.

    python docs/tutorials/build.py first-swing-up

runs `docs/tutorials/first-swing-up.py` and writes `first-swing-up.md`, its pictures and
`first-swing-up.ipynb` beside it. Without names it runs all of them, one after another. It needs
the extras `docs` and `mujoco`.

A tutorial is a script of cells, the py:percent form of Jupytext, with three additions:

- a line `STEPS = 400  # quick: 60` has the size of the page and the size for tests;
- a cell `# %% file="rod.py"` is written to that file, and not run;
- a cell of lines `# !lagdyna ...` runs a command.

`--prose` takes over changes of the prose alone, in a second.

Markdown may show a picture that the cells before wrote, such as
`![...](runs/first/rollout.gif)`. It is copied to the page.
"""

import argparse
import base64
import dataclasses
import itertools
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jupytext
import nbformat

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NAMES = (
    "first-swing-up",
    "your-environment",
    "double-pendulum-log",
    "inverse-dynamics",
    "robot-arm",
    "swap-parts",
    "filters",
    "compare-and-extend",
)

_QUICK = re.compile(r"^([\w, ]+ = ).*?(  # quick: (.+))$", re.M)
_PICTURE = re.compile(r"(!\[[^\]]*\]\()((?:runs|figures)/[^)]+)(\))")
_SUFFIXES = {"image/svg+xml": ".svg", "image/png": ".png"}

# Figures in a grey that is read on white and on black, and the same file from the same figure.
_SETUP = """
%config InlineBackend.figure_formats = ["svg"]
%config InlineBackend.print_figure_kwargs = {"metadata": {"Date": None}}
import matplotlib as _mpl
import matplotlib.pyplot as _plt
_grey = "#7b7b7b"
_mpl.rcParams.update({
    "svg.hashsalt": "lagdyna", "axes.edgecolor": _grey, "axes.labelcolor": _grey,
    "axes.titlecolor": _grey, "text.color": _grey, "xtick.color": _grey, "ytick.color": _grey,
    "grid.color": _grey, "figure.facecolor": "none", "axes.facecolor": "none",
    "savefig.facecolor": "none", "legend.frameon": False, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25, "grid.linewidth": 0.5,
})
"""


def notebook_of(name: str) -> Any:
    """Read a tutorial's script as a notebook without outputs."""
    notebook = jupytext.read(HERE / f"{name}.py", fmt="py:percent")
    for i, cell in enumerate(notebook.cells):
        file = cell.metadata.get("file")
        cell.id, cell.metadata = f"cell-{i}", {}
        if file:
            cell.source = f"%%writefile {file}\n{cell.source}"
    notebook.metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    return notebook


def quick(source: str) -> str:
    """Replace the sizes of a page by those for tests."""
    return _QUICK.sub(lambda found: found[1] + found[3], source)


def run_cells(name: str) -> None:
    """Run the cells of a tutorial in this process, at the sizes for tests.

    Files go to the working directory, which should be empty but for `examples`.
    """
    small = _small()
    unsolved = dataclasses.replace(small, solver=None)  # for models of whole steps too
    names: dict[str, Any] = {"__name__": name, "small": small, "unsolved": unsolved}
    sys.path.insert(0, os.getcwd())  # files that a tutorial writes are imported
    try:
        _run_each(name, names)
    finally:
        sys.path.remove(os.getcwd())


def _small() -> Any:
    """Config of a training run of seconds, which learns nothing."""
    from lagdyna.config import config_from_table

    return config_from_table(
        {
            "steps": 60,
            "model": {"hidden": [8]},
            "solver": {"name": "euler"},
            "learner": {"updates": 20, "batch": 8},
            "reward": {"hidden": [8]},
            "agent": {
                **{"hidden": [8], "updates": 6, "batch": 8, "horizon": 3},
                # Starts in the replay buffer compile fastest.
                **{"uniform_starts": 0.0, "high_reward_starts": 0.0, "initial_starts": 0.0},
            },
            "collect": {"random_steps": 20, "train_every": 10, "steps_per_round": 20},
            "evaluation": {"episodes": 2},
        }
    )


def _run_each(name: str, names: dict[str, Any]) -> None:
    """Run the code cells of a tutorial one after another."""
    for i, cell in enumerate(notebook_of(name).cells):
        if cell.cell_type != "code":
            continue
        source = quick(cell.source)
        if source.startswith("%%writefile "):
            first, _, rest = source.partition("\n")
            Path(first.split()[1]).write_text(rest + "\n", encoding="utf-8")
        elif source.startswith("!lagdyna "):
            for line in source.splitlines():
                words = shlex.split(line.format(**names))[1:]
                subprocess.run([sys.executable, "-m", "lagdyna", *words], check=True)
        else:
            exec(compile(source, f"{name}, cell {i}", "exec"), names)


def executed(name: str) -> tuple[Any, dict[str, bytes]]:
    """Run a tutorial in a kernel of its own.

    **Returns:** its notebook with outputs, and the pictures that its Markdown shows, by the
    names that they have on the page.
    """
    import nbclient

    notebook = notebook_of(name)
    setup = nbformat.v4.new_code_cell(_SETUP)
    notebook.cells.insert(0, setup)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ["COLUMNS"] = "88"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "examples").symlink_to(ROOT / "examples")
        client = nbclient.NotebookClient(
            notebook, timeout=None, resources={"metadata": {"path": folder}}
        )
        client.execute()
        pictures = {
            _page_name(name, found[2]): (Path(folder) / found[2]).read_bytes()
            for cell in notebook.cells
            if cell.cell_type == "markdown"
            for found in _PICTURE.finditer(cell.source)
        }
    del notebook.cells[0]
    codes = itertools.count(1)
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.execution_count = next(codes)
            cell.outputs = _joined([kept for each in cell.outputs if (kept := _kept(each))])
    return notebook, pictures


def _kept(output: Any) -> Any:
    """Keep what a page shows of an output; what was written to stderr goes to the terminal."""
    if output.output_type == "stream":
        text = re.sub(r"\x1b\[[0-9;]*m", "", output.text)
        if output.name == "stderr":
            sys.stderr.write(text)
            return None
        output.text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    elif "data" in output:
        output.metadata = {}
        for kind in _SUFFIXES:
            if kind in output.data:
                output.data = {kind: output.data[kind]}
    return output


def _joined(outputs: list[Any]) -> list[Any]:
    """Join the texts that follow each other."""
    found: list[Any] = []
    for each in outputs:
        streams = each.output_type == "stream" and found and found[-1].output_type == "stream"
        if streams:
            found[-1].text += each.text
        else:
            found.append(each)
    return found


def page(name: str, notebook: Any) -> tuple[str, dict[str, bytes]]:
    """Render a notebook with outputs as Markdown.

    **Returns:** the page, and the pictures of its outputs by name.
    """
    blocks, pictures = [], {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            blocks.append(
                _PICTURE.sub(lambda p: p[1] + _page_name(name, p[2]) + p[3], cell.source)
            )
            continue
        texts = []
        for output in cell.outputs:
            if output.output_type == "stream":
                texts.append(output.text.rstrip("\n"))
            elif kind := next((k for k in _SUFFIXES if k in output.data), None):
                picture = f"{name}-{len(pictures) + 1}{_SUFFIXES[kind]}"
                data = output.data[kind]
                pictures[picture] = (
                    data.encode() if kind == "image/svg+xml" else base64.b64decode(data)
                )
                texts.append(f"![Figure of the cell above]({picture})")
            else:
                texts.append(output.data["text/plain"])
        blocks += _code(cell.source, [text for text in texts if text])
    # The link follows the opening, before the first section.
    opening, *sections = blocks[0].partition("\n\n## ")
    link = f"[Download this page as a notebook]({name}.ipynb){{ .download }}"
    blocks[0] = f"{opening}\n\n{link}{''.join(sections)}"
    return "\n\n".join(blocks) + "\n", pictures


def _code(source: str, outputs: list[str]) -> list[str]:
    """Render a code cell and its outputs."""
    if source.startswith("%%writefile "):
        first, _, rest = source.partition("\n")
        return [f'``` {{.python title="{first.split()[1]}"}}\n{rest}\n```']
    if source.startswith("!"):
        commands = "\n".join(f"$ {line[1:]}" for line in source.splitlines())
        return ["\n".join(["``` {.console}", commands, *outputs, "```"])]
    blocks = [f"```python\n{source}\n```"]
    for text in outputs:
        picture = text.startswith("![Figure")
        blocks.append(text if picture else f"``` {{.text}}\n{text}\n```")
    return blocks


def _page_name(name: str, picture: str) -> str:
    return f"{name}-{Path(picture).name}"


def build(name: str) -> None:
    """Run a tutorial, and write its page, pictures and notebook."""
    started = time.perf_counter()
    notebook, shown = executed(name)
    text, pictures = page(name, notebook)
    for old in HERE.glob(f"{name}-*"):
        if old.suffix in (".svg", ".png", ".gif"):
            old.unlink()
    for picture, data in (pictures | shown).items():
        (HERE / picture).write_bytes(data)
    (HERE / f"{name}.md").write_text(text, encoding="utf-8")
    nbformat.write(notebook, HERE / f"{name}.ipynb")
    seconds, busy = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{name}: {seconds:.0f} s, processors {busy.ru_utime + busy.ru_stime:.0f} s in all")


def renew(name: str) -> None:
    """Write the prose of a tutorial to its notebook and page, and keep the outputs.

    **Raises:** `SystemExit` if code has changed too, which has to be run.
    """
    stored = nbformat.read(HERE / f"{name}.ipynb", as_version=4)
    present = notebook_of(name)
    codes = [[c.source for c in x.cells if c.cell_type == "code"] for x in (stored, present)]
    if codes[0] != codes[1]:
        raise SystemExit(f"the code of {name} has changed; build it without `--prose`")
    done = iter([cell for cell in stored.cells if cell.cell_type == "code"])
    for cell in present.cells:
        if cell.cell_type == "code":
            before = next(done)
            cell.execution_count, cell.outputs = before.execution_count, before.outputs
    nbformat.write(present, HERE / f"{name}.ipynb")
    (HERE / f"{name}.md").write_text(page(name, present)[0], encoding="utf-8")


def main() -> None:
    """Build the tutorials that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], default=[])
    parser.add_argument("--prose", action="store_true", help="renew the prose, without a run")
    parser.add_argument("--quick", action="store_true", help="run at the sizes of tests")
    options = parser.parse_args()
    for name in options.names or NAMES:
        if options.prose:
            renew(name)
        elif options.quick:
            os.chdir(tempfile.mkdtemp())
            Path("examples").symlink_to(ROOT / "examples")
            run_cells(name)
        else:
            build(name)


if __name__ == "__main__":
    main()
