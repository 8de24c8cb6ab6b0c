from pathlib import Path
from typing import Literal

from ._options import Location, Trusted
from ._precision import use_precision
from ._print import say


def export(
    run: Path,
    /,
    *,
    what: Literal[
        "policy", "step", "forward-dynamics", "inverse-dynamics", "gravity", "filter-update"
    ] = "policy",
    format: Literal["stablehlo", "onnx", "npz"] = "stablehlo",
    out: Location = None,
    trust: Trusted = False,
) -> None:
    """Export the policy or the model of a run as a file that other programs use.

    The file, its contract and a comparison with the run on 1,000 random inputs are written.

    Parameters
    ----------
    run
        The directory of a training run or a fit.
    what
        What to export. A fit has no policy, and filter-update is of a fit by a filter.
    format
        stablehlo runs in JAX, onnx in onnxruntime; npz has the weights of a policy network and
        needs NumPy alone.
    out
        A new or empty directory; by default the first free export-1, ... in that of the run.
    """
    use_precision(run)
    from ..export import export as export_run

    path, contract = export_run(run, what, format, out, trust=trust)
    check = contract.check
    assert check is not None
    say(
        f"{contract.what} as {contract.format}: differs from the run by at most "
        f"{check.largest_difference:.1g} of the largest output on {check.inputs:,} random "
        f"inputs, {check.latency_us:.0f} us a call"
    )
    for name, ports in (("takes", contract.inputs), ("returns", contract.outputs)):
        say(f"{name} " + ", ".join(f"{port.name} {list(port.shape)}" for port in ports))
    files = ", ".join(filter(None, (contract.file, contract.initial, "contract.json")))
    say(f"-> {path}: {files}")
