import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "data.md"


@pytest.mark.filterwarnings("error")
def test_the_code_of_the_data_page_runs(tmp_path, monkeypatch):
    page = PAGE.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(compile(code, str(PAGE), "exec"), names)
    assert names["experience"].state.q.shape[1:] == (1,)
    assert names["windows"].mask.shape[1:] == (5,)
    for line in re.search(r"begins so:\n\n((?:    .*\n)+)", page)[1].splitlines()[:2]:
        assert line.strip() in (tmp_path / "swings.csv").read_text().splitlines()[:2]
