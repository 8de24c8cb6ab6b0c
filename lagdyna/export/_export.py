"""Exports of a run: a file, its contract, and a comparison with the source."""

import importlib.util
import io
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, cast, get_args

import jax
import msgspec
import numpy as np

from .._errors import UserError
from ..results import kind_of, new_directory, replacing, reserved, run_facts, write_text
from ..runs import FittedRun, Run, Trust, load, load_problem, policy_of, processor
from ..runtime import (
    CONTRACT_FILE,
    Check,
    Contract,
    Format,
    Spaces,
    load_contract,
    load_program,
    sealed,
)
from ..tasks import bounded_with_spaces
from ._program import Program, mechanics_program, policy_program, update_program
from ._writers import WRITERS, not_expressible

What = Literal[
    "policy", "step", "forward-dynamics", "inverse-dynamics", "gravity", "filter-update"
]
"""Functions of a run that can be exported."""

_INPUTS = 1000
_TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


def export(
    run: str | Path,
    what: What | str = "policy",
    format: Format | str = "stablehlo",
    out: str | Path | None = None,
    *,
    trust: Trust = False,
) -> tuple[Path, Contract]:
    """Export a function of a run as a file that other programs can use.

    The file is compared with its source on 1,000 random inputs. The directory holds it and
    `contract.json`, which says what the program takes and returns, and how well it agrees.

    **Arguments:**

    - `run`: the directory of a training run of one seed, or of a fit.
    - `what`: `policy`, of a training run: from an observation to an action. `step`: from
        `(q, qd, action)` to the next `(q, qd)`. `forward-dynamics`: to the acceleration.
        `inverse-dynamics`: from `(q, qd, qdd)` to the force. `gravity`: from `q` to the force
        that holds the system. `filter-update`, of a fit by a filter whose recordings are at
        hand: from the filter's state and a measurement to the next state and a prediction.
        Actions are in the units of the environment or of the data.
    - `format`: `stablehlo`, which JAX runs; `onnx`, which onnxruntime runs; `npz`, the weights
        of a policy network, which need NumPy alone.
    - `out`: a new or empty directory; by default the first free `export-1`, `export-2`, ... in
        that of the run.
    - `trust`: as for [`lagdyna.runs.load`][].

    **Returns:** the directory, and the content of `contract.json`.

    **Raises:** [`lagdyna.UserError`][] if the run cannot be loaded or does not have what is
    asked for, the format cannot express it or needs a package that is missing, or the file does
    not agree with its source. Nothing has been written then.
    """
    path = Path(run)
    for name, given, accepted in (("what", what, What), ("format", format, Format)):
        if given not in get_args(accepted):
            raise UserError(
                f"`{name}` was {given!r}; {', '.join(get_args(accepted))} are accepted"
            )
    kind: Format = cast(Format, format)
    program = _program(path, what, trust)
    artefact = WRITERS[kind](program)
    file, initial = f"{what}.{format}", f"{what}.initial.npz" if program.initial else ""
    held = io.BytesIO()
    if initial:
        np.savez(held, allow_pickle=False, **program.initial)
    contents = [artefact.content, *([held.getvalue()] if initial else [])]
    contract = Contract(
        what=what,
        format=kind,
        file=file,
        precision="float64" if program.dtype == np.float64 else "float32",
        inputs=program.inputs,
        outputs=program.outputs,
        dt=program.dt,
        hold=program.hold,
        reading=program.reading,
        initial=initial,
        network=artefact.network,
        platform=artefact.platform,
        source=path.resolve().name,
        lagdyna=version("lagdyna"),
        made_with=artefact.made_with,
    )
    with reserved(None if out is None else Path(out), lambda k: path / f"export-{k}") as into:
        new_directory(into)
        try:
            for name, content in zip((file, initial), contents, strict=False):
                with replacing(into / name) as temporary:
                    temporary.write_bytes(content)
            _write(into, sealed(contract, *contents))
            contract = msgspec.structs.replace(contract, check=_check(into, program))
            contract = sealed(contract, *contents)
            _write(into, contract)
        except BaseException:
            for name in filter(None, (file, initial, CONTRACT_FILE)):
                (into / name).unlink(missing_ok=True)
            raise
        return into, contract


def _write(into: Path, contract: Contract) -> None:
    text = msgspec.json.format(msgspec.json.encode(contract), indent=2).decode()
    write_text(into / CONTRACT_FILE, text + "\n")


def _program(run: Path, what: str, trust: Trust) -> Program:
    """Load a run and make the program that is asked for."""
    kind = kind_of(run)
    if what == "policy":
        if kind == "fit":
            raise UserError(
                f"`what` was 'policy', and {str(run)!r} holds a fit, which has none; "
                f"{', '.join(get_args(What)[1:])} are accepted"
            )
        return policy_program(policy_of(run, trust=trust))
    loaded: Run | FittedRun = load(run, trust=trust)
    if what == "filter-update":
        if not isinstance(loaded, FittedRun):
            raise UserError(
                f"`what` was 'filter-update', and {str(run)!r} holds no fit; a fit by a filter "
                "is accepted"
            )
        return update_program(*load_problem(run, trust=trust), loaded)
    spaces: Spaces | None = None
    if isinstance(loaded, Run):
        facts = run_facts(run)
        actions = facts.actions
        if actions is None:
            actions = bounded_with_spaces(loaded.config.task)[1].actions
        spaces = Spaces(facts.observation or 0, actions)
    return mechanics_program(what, loaded, spaces)


def _check(directory: Path, program: Program) -> Check:
    """Compare an exported program with its source, and time it.

    **Raises:** `UserError` if they do not agree.
    """
    try:
        contract, call = load_program(directory)
    except UserError as error:
        written = load_contract(directory)
        if written.format == "onnx" and importlib.util.find_spec("onnxruntime") is not None:
            raise not_expressible(str(error).partition(": ")[2]) from error
        raise
    rng = np.random.default_rng(0)
    inputs = [program.draw(rng) for _ in range(_INPUTS)]
    source: Any = jax.jit(program.function)
    largest, scale = [0.0] * len(program.outputs), [0.0] * len(program.outputs)
    seconds = []
    for given in inputs:
        expected = [np.asarray(x) for x in source(*given)]
        begun = time.perf_counter()
        found = call(*given)
        seconds.append(time.perf_counter() - begun)
        for i, (x, y) in enumerate(zip(expected, found, strict=True)):
            finite = np.isfinite(x)
            if not np.array_equal(finite, np.isfinite(y)):
                largest[i] = np.inf
            largest[i] = max(largest[i], float(np.max(np.abs(x - y)[finite], initial=0)))
            scale[i] = max(scale[i], float(np.max(np.abs(x)[finite], initial=0)))
    difference = max(a / (b or 1.0) for a, b in zip(largest, scale, strict=True))
    if not difference <= _TOLERANCE[contract.precision]:
        raise UserError(
            f"the exported program differs from its source by {difference:.1g} of the largest "
            f"output, where {_TOLERANCE[contract.precision]:g} is accepted; it was not written"
        )
    return Check(
        inputs=_INPUTS,
        largest_difference=difference,
        latency_us=1e6 * float(np.median(seconds)),
        processor=processor(),
    )
