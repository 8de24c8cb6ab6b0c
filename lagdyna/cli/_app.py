from importlib.metadata import version

from cyclopts import App

from ._check_task import check_task
from ._compare import compare
from ._evaluate import evaluate
from ._excite import excite
from ._export import export
from ._fit import fit
from ._lists import solvers, tasks
from ._pack import pack, unpack
from ._parts import parts
from ._plan import plan
from ._report import report
from ._reproduce import reproduce
from ._resume import resume
from ._sweep import sweep
from ._train import train

app = App(
    name="lagdyna",
    help="Learn the Lagrangian of a mechanical system, and to control the system inside it.",
    version=lambda: version("lagdyna"),
)
for command in (
    train,
    fit,
    excite,
    sweep,
    compare,
    evaluate,
    plan,
    export,
    report,
    pack,
    unpack,
    resume,
    reproduce,
    check_task,
    tasks,
    solvers,
    parts,
):
    app.command(command)
app.register_install_completion_command(
    help="Install completion of commands and options for bash, zsh, fish or PowerShell."
)
