from pathlib import Path
from typing import NamedTuple

import pytest

from lagdyna.experiments import train

from ..runs import Recorder, tiny


class Finished(NamedTuple):
    directory: Path
    recorder: Recorder
    returned: dict


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One whole run, from which nothing was taken away and to which nothing was added."""
    directory = tmp_path_factory.mktemp("finished") / "run"
    recorder = Recorder()
    returned = train(tiny(), directory, progress=recorder)
    return Finished(directory, recorder, returned)
