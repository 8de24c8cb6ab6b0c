"""Files that a config names, found from any folder."""

from pathlib import Path

import pytest

from lagdyna.options import Origin, begun_in, located, user_part


def test_files_are_found_where_they_were_or_beside_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    (project / "data" / "a.csv").write_text("")
    (project / "part.py").write_text("thing = 3")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    then = project / "runs" / "one"
    assert located("data/a.csv") == "data/a.csv"
    with begun_in(Origin(project, then, then)):
        assert located("data/a.csv") == str(project / "data" / "a.csv")
        assert located("data/*.csv") == str(project / "data" / "*.csv")
        assert located("data/b.csv") == "data/b.csv"
        assert user_part("model", "part.py:thing") == 3
    moved = project.rename(tmp_path / "moved")
    with begun_in(Origin(project, then, moved / "runs" / "one")):
        assert located("data/a.csv") == str(moved / "data" / "a.csv")
        assert located(str(project / "data" / "a.csv")) == str(moved / "data" / "a.csv")
        assert user_part("model", "part.py:thing") == 3
        (elsewhere / "c.csv").write_text("")
        assert located("c.csv") == "c.csv"
    assert located("data/a.csv") == "data/a.csv"
