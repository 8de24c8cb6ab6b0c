"""The built site, seen by a browser: links, pictures, formulas, search and narrow windows."""

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest

from .browser import CHROMIUM, Browser, chromium

TOP = Path(__file__).parents[2]
WIDTHS = (1400, 400)
QUERIES = ("friction", "gravity compensation", "GPU", "TensorBoard", "mass matrix", "resume")
FEW = ("", "reference/tasks/", "results/")  # pages of the cheap crawl: home, formulas, tables

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

# Parts of the text that reach beyond the window without a scroll bar of their own.
AUDIT = """
(() => {
  const wide = [], content = document.querySelector('.md-content');
  const scrolls = x => x && x !== content &&
    (['auto', 'scroll'].includes(getComputedStyle(x).overflowX) || scrolls(x.parentElement));
  for (const x of content.querySelectorAll('*')) {
    if (x.closest('math') || x.closest('mjx-container')) continue;
    const box = x.getBoundingClientRect();
    if (box.width && box.right > innerWidth + 1 && !scrolls(x.parentElement))
      wide.push(x.tagName + ' ' + x.className + ' ' + x.textContent.slice(0, 60));
  }
  const maths = [...content.querySelectorAll('math')];
  return {
    overflow: document.documentElement.scrollWidth - innerWidth,
    wide: wide.slice(0, 5),
    pictures: [...content.querySelectorAll('img')]
      .filter(x => x.complete && !x.naturalWidth && getComputedStyle(x).display !== 'none')
      .map(x => x.src),
    raw: content.querySelectorAll('.arithmatex, merror').length,
    flat: maths.map(x => [x.getBoundingClientRect(), x.textContent])
      .filter(([box]) => !(box.width && box.height)).map(([_, text]) => text),
  };
})()
"""

# Numbers of tables, and those of them that are broken over lines.
NUMBERS = """
(() => {
  const lines = x => {
    const range = document.createRange();
    range.selectNodeContents(x);
    return range.getBoundingClientRect().height / parseFloat(getComputedStyle(x).lineHeight);
  };
  const cells = [...document.querySelectorAll('td')]
    .filter(x => /^-?[\\d.,]+( to .*)?$/.test(x.textContent));
  return [cells.length, cells.filter(x => lines(x) > 1.5).map(x => x.textContent)];
})()
"""


def build(site: Path, config: Path | None = None, *options: str) -> None:
    """Build the site; a warning is an error with `--strict`."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "-q", "-d", str(site), *options]
    command += [] if config is None else ["-f", str(config)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=TOP, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def whole_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    build(site, None, "--strict")
    return site


@pytest.fixture(scope="module")
def site_without_api(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same pages without those that are made from docstrings, which take longest."""
    folder = tmp_path_factory.mktemp("small")
    config = folder / "mkdocs.yml"
    config.write_text(
        f"INHERIT: {TOP / 'mkdocs.yml'}\n"
        f"docs_dir: {TOP / 'docs'}\n"
        f"hooks: [{TOP / 'docs/_hooks.py'}]\n"
        "plugins: [search]\n"
        'exclude_docs: "*.py\\noutputs/\\napi/\\n"\n'
    )
    build(folder / "site", config)
    return folder / "site"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def screenshots(request: pytest.FixtureRequest) -> Path:
    """The folder `.pytest_cache/d/site`."""
    return request.config.cache.mkdir("site")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Served:
    """A folder under a URL."""

    def __init__(self, folder: Path):
        handler = functools.partial(Quiet, directory=str(folder))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self.url

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def pages_of(site: Path) -> list[str]:
    """Paths of all pages, as the browser asks for them."""
    found = [path.relative_to(site).as_posix() for path in site.rglob("index.html")]
    return sorted(name.removesuffix("index.html") for name in found)


def faults_of(browser: Browser, url: str, page: str, width: int) -> list[str]:
    """What is wrong with a page in a window of a width."""
    browser.visit(url + page, width)
    found = browser.evaluate(AUDIT)
    faults = list(browser.faults)
    if found["overflow"] > 0 or found["wide"]:
        faults.append(f"{found['overflow']} pixels too wide: {found['wide']}")
    if found["pictures"]:
        faults.append(f"pictures do not load: {found['pictures']}")
    if found["raw"] or found["flat"]:
        faults.append(f"formulas are not rendered: {found['raw']} raw, {found['flat']}")
    return [f"{page or 'home'} at {width} px: {fault}" for fault in faults]


def crawl(
    browser: Browser, site: Path, pages: list[str], shots: Path | None = None
) -> list[str]:
    """Visit pages in both widths, and list what is wrong."""
    faults = []
    with Served(site) as url:
        for page in pages:
            for width in WIDTHS:
                faults += faults_of(browser, url, page, width)
                name = page.strip("/").replace("/", "-") or "home"
                if shots is not None:
                    browser.screenshot(shots / f"{name}-{width}.png")
    return faults


def answers(browser: Browser, query: str) -> list[str]:
    """Type a query into the search of the page, and read the results."""
    browser.evaluate(
        "(() => { const x = document.querySelector('[data-md-component=search-query]');"
        f" x.focus(); x.value = {query!r};"
        " for (const kind of ['input', 'keyup']) x.dispatchEvent(new Event(kind)); })()"
    )
    results = "[...document.querySelectorAll('.md-search-result__item')]"
    words = query.lower().split()
    browser.wait(
        f"{results}.some(x => {words}.every(w => x.textContent.toLowerCase().includes(w)))"
    )
    return browser.evaluate(f"{results}.map(x => x.textContent)")


@needs_browser
def test_three_pages_are_whole(browser: Browser, site_without_api: Path) -> None:
    assert crawl(browser, site_without_api, list(FEW)) == []


@needs_browser
def test_numbers_of_tables_are_whole(browser: Browser, site_without_api: Path) -> None:
    with Served(site_without_api) as url:
        browser.visit(f"{url}results/", min(WIDTHS))
    count, broken = browser.evaluate(NUMBERS)
    assert count > 100
    assert broken == []


@needs_browser
@pytest.mark.slow
def test_every_page_is_whole(browser: Browser, whole_site: Path, screenshots: Path) -> None:
    pages = pages_of(whole_site)
    assert len(pages) > 50
    faults = crawl(browser, whole_site, pages, screenshots)
    assert faults == [], f"screenshots are in {screenshots}"


@needs_browser
@pytest.mark.slow
def test_the_search_answers(browser: Browser, whole_site: Path) -> None:
    with Served(whole_site) as url:
        browser.visit(url, WIDTHS[0])
        for query in QUERIES:
            assert answers(browser, query)


class Links(HTMLParser):
    """Targets of links and pictures of a page, and the anchors that it has."""

    def __init__(self, text: str):
        super().__init__()
        self.targets: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.targets.add(value)
            elif value and name in ("id", "name"):
                self.anchors.add(value)


@pytest.mark.slow
def test_no_link_is_broken(whole_site: Path) -> None:
    found = {
        page: Links((whole_site / page / "index.html").read_text(encoding="utf-8"))
        for page in pages_of(whole_site)
    }
    broken = []
    for page, links in found.items():
        for target in links.targets:
            url, anchor = urldefrag(urljoin(f"http://site/{page}", target))
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or parts.netloc != "site":
                continue
            path = unquote(parts.path).lstrip("/")
            if not (whole_site / path).exists() or (
                anchor and path in found and unquote(anchor) not in found[path].anchors
            ):
                broken.append(f"{page or 'home'}: {target}")
    assert broken == []


PAGES = [*sorted((TOP / "docs").rglob("*.md")), TOP / "README.md", TOP / "CONTRIBUTING.md"]
INCLUDED = [
    *sorted((TOP / "docs/outputs").glob("*.txt")),
    *sorted((TOP / "results").rglob("*.txt")),
]
LOG = ("research-log.md", "provenance.txt")  # the only page with commits, and its table


def test_only_the_research_log_names_commits() -> None:
    """A commit is a word of seven or more hexadecimal digits, of both kinds."""
    found = {}
    for page in (*PAGES, *INCLUDED):
        words = re.findall(r"(?<![\w#])[0-9a-f]{7,40}(?!\w)", page.read_text(encoding="utf-8"))
        commits = {x for x in words if re.search(r"\d", x) and re.search(r"[a-f]", x)}
        if commits and page.name not in LOG:
            found[str(page.relative_to(TOP))] = commits
    assert found == {}
