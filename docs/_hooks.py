"""MkDocs hooks that fill pages with what the code itself can say."""

import dataclasses
import re
from html import unescape
from pathlib import Path
from typing import Any

import latex2mathml.converter

from lagdyna.cli._app import app
from lagdyna.cli._describe import FAMILIES, Option, Variant, describe_part
from lagdyna.config import (
    CollectConfig,
    Config,
    DataConfig,
    EvaluationConfig,
    FitConfig,
    RewardConfig,
    SignalsConfig,
)
from lagdyna.options import config_to_toml, described
from lagdyna.sweeps import SlurmConfig, SweepConfig
from lagdyna.tasks import CoordinateSpec, TaskSpec, WrapperSpec

_TABLES = {
    "reward": RewardConfig,
    "collect": CollectConfig,
    "evaluation": EvaluationConfig,
    "data": DataConfig,
    "signals": SignalsConfig,
    "task": TaskSpec,
    "coordinate": CoordinateSpec,
    "wrapper": WrapperSpec,
    "sweep": SweepConfig,
    "slurm": SlurmConfig,
}


def on_page_content(html: str, **kwargs: Any) -> str:
    """Convert formulas to MathML, which browsers typeset without a script.

    Numbers, short names and options, which should not be broken over lines, get classes, and
    so do cells with long text, which need room.
    """
    html = _WHOLE.sub(r'<td class="whole">\1</td>', _FORMULA.sub(_mathml, html))
    html = _CELL.sub(_cell_html, html)
    return _INLINE_CODE.sub(
        lambda found: _OPTION.sub(r'<span class="option">\g<0></span>', found[0]), html
    )


# Cells with numbers alone, such as `-173 to -161` and `256 (3 of 5)`, a tick, or one name.
_NUMBER = r"-?\d[\d,.]*(?:e[+-]?\d+)?(?: ?%| (?:s|ms|min|h|Hz|MB|GB))?"
_NUMBERS = rf"\(?{_NUMBER}\)?(?:(?: to | of |, |; | )\(?{_NUMBER}\)?)*"
_WHOLE = re.compile(rf"<td>({_NUMBERS}|[✓-] \[\d+\]|<code>[^<]{{1,14}}</code>)</td>")


_FORMULA = re.compile(
    r'<(span|div) class="arithmatex">(?:\\\(|\\\[)(.*?)(?:\\\)|\\\])</\1>', re.S
)
_CELL = re.compile(r"<td[^>]*>.*?</td>", re.S)
_CODE = re.compile(r"<code>([^<]*)</code>")
_INLINE_CODE = re.compile(
    r"(?<!</span>)<code[^>]*>[^<]*</code>"
)  # a block has a span before it
_OPTION = re.compile(r"(?<![\w-])--[\w.-]{1,30}(?![\w.-])")


def _cell_html(found: re.Match[str]) -> str:
    """Mark the code of a cell, and the cell if its text is long."""
    html = _CODE.sub(_code, found[0])
    is_long = "<math" not in html and len(re.sub("<[^>]*>", "", html)) > 30
    return html.replace("<td>", '<td class="text">') if is_long else html


def _code(found: re.Match[str]) -> str:
    """Mark code in a cell: short names stay whole, and paths break at slashes alone."""
    text = found[1]
    if "/" in text and len(text) > 20 and " " not in text:
        text = text.replace("/", "/<wbr>")
    elif len(text) > 26:
        return found[0]
    return f'<code class="name">{text}</code>'


def _mathml(found: re.Match[str]) -> str:
    display = "block" if found[1] == "div" else "inline"
    formula = latex2mathml.converter.convert(unescape(found[2]), display=display)
    # TeX has no space around bars, slashes, derivatives and signs of numbers; MathML has.
    formula = _TIGHT.sub(r'<mo\1 lspace="0" rspace="0">\2</mo>', formula)
    formula = _SIGN.sub(r'\1<mo form="prefix">\2</mo>', formula)
    # The sign of a prime is raised by itself.
    formula = _PRIME.sub(r"<mrow>\1\2</mrow>", formula)
    # A name in place of a text, which counts as a space beside operators.
    formula = _WORD.sub(r"<mi>\1</mi>", formula)
    # TeX has a thin space between the name of a function and a symbol; MathML has none.
    formula = _NAME_AND_SYMBOL.sub(r"\1" + _THIN_SPACE, formula)
    return _SYMBOL_AND_NAME.sub(r"\1" + _THIN_SPACE, formula)


_TIGHT = re.compile(r'<mo((?: stretchy="false")?)>(&#x0007C;|&#x0002F;|&#x02202;)</mo>')
_PRIME = re.compile(r"<msup>(<mi>[^<]*</mi>)(<mi>&#x02032;</mi>)</msup>")
_SIGN = re.compile(
    r"(<mo[^>]*>(?:\[|&#x00028;|&#x0002C;|&#x0003D;|=)</mo>)<mo>(&#x02212;)</mo>"
)
_WORD = re.compile(r"<mtext>([a-z]{2,})</mtext>")
_THIN_SPACE = '<mspace width="0.167em" />'
_NAME = r"<mi>(?:sin|cos|tan|tanh|exp|log)</mi>"
_NAME_AND_SYMBOL = re.compile(rf"({_NAME})(?=<m(?:i|n|sub|sup|subsup|frac|over|row)>)")
_SYMBOL_AND_NAME = re.compile(rf"(</m(?:i|n|sub|sup|subsup|frac|over)>)(?={_NAME})")


def on_page_markdown(markdown: str, **kwargs: Any) -> str:
    """Fill in the default configs, the options of parts and the usage of every command."""
    for mark, config in (
        ("<!-- default config -->", Config().resolved()),
        ("<!-- default fit config -->", FitConfig(data="data.npz")),
    ):
        markdown = markdown.replace(mark, f"```toml\n{config_to_toml(config)}```")
    markdown = re.sub(
        r"<!-- options of ([\w.]+) -->", lambda found: _options_of(found[1]), markdown
    )
    markdown = re.sub(r"<!-- table of (\w+) -->", lambda found: _options_in(found[1]), markdown)
    markdown = markdown.replace("<!-- bibtex -->", _bibtex())
    markdown = re.sub(r"<!-- file (\w+\.md) -->", lambda found: _file(found[1]), markdown)
    if (mark := "<!-- usage of every command -->") in markdown:
        text = app.generate_docs(output_format="markdown", heading_level=2)
        # One level up, and without the overview, which the page's own contents give.
        text = text[text.index("### lagdyna train") :].replace("### lagdyna", "## lagdyna")
        # Cyclopts adds the module of `python -m mkdocs` to each usage.
        text = text.replace(" -m mkdocs", "")
        markdown = markdown.replace(mark, text)
    return markdown


def _file(name: str) -> str:
    """Read a page at the top of the repository, its links as seen from `docs/community/`."""
    text = (Path(__file__).parents[1] / name).read_text(encoding="utf-8")
    return text.replace("](docs/", "](../")


def _bibtex() -> str:
    """Write the BibTeX entry of `CITATION.cff`, whose values are plain lines."""
    text = (Path(__file__).parents[1] / "CITATION.cff").read_text(encoding="utf-8")
    field = dict(re.findall(r"^(\w+): (.+)$", text, flags=re.M))
    authors = " and ".join(
        f"{{{name}}}" for name in re.findall(r"^  - name: (.+)$", text, flags=re.M)
    )
    return (
        f"@software{{{field['title']},\n"
        f"  title = {{{field['title']}}},\n"
        f"  author = {{{authors}}},\n"
        f"  version = {{{field['version']}}},\n"
        f"  license = {{{field['license']}}},\n"
        "}"
    )


def _options_of(part: str) -> str:
    """Describe a part: its variants, then each option with the variants that have it."""
    variants = describe_part(part)
    if part in FAMILIES:  # without those that installed packages add
        variants = [each for each in variants if each.name in FAMILIES[part].variants]
    lines = ["| name | meaning |", "|---|---|"]
    for each in variants:
        mark = " (default)" if each.default else ""
        lines.append(f"| `{each.name}`{mark} | {_cell(each.summary)} |")
    lines += ["", "| option | of | accepted | default | meaning |", "|---|---|---|---|---|"]
    for option, having in _by_option(variants):
        of = "all" if len(having) == len(variants) else ", ".join(f"`{v}`" for v in having)
        default = "" if option.default is None else f"`{_toml(option.default)}`"
        cells = (f"`{option.name}`", of, _cell(option.type), default, _cell(option.text))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _toml(default: Any) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def _options_in(table: str) -> str:
    """Describe the options of a table that is no part."""
    texts = described(_TABLES[table])[1]
    lines = ["| option | default | meaning |", "|---|---|---|"]
    # A sweep is a file, and the tables of tasks are named by their headings.
    where = "" if table in ("sweep", "task", "coordinate", "wrapper") else f"{table}."
    for each in dataclasses.fields(_TABLES[table]):
        plain = isinstance(each.default, str | int | float | tuple) and each.default not in (
            "",
            (),
        )
        value = str(each.default).lower() if isinstance(each.default, bool) else each.default
        default = f"`{value}`" if plain else ""
        lines.append(f"| `{where}{each.name}` | {default} | {_cell(texts[each.name])} |")
    return "\n".join(lines)


def _by_option(variants: list[Variant]) -> list[tuple[Option, list[str]]]:
    """Collect equal options of several variants."""
    found: list[tuple[Option, list[str]]] = []
    for variant in variants:
        for option in variant.options:
            for known, having in found:
                if known == option:
                    having.append(variant.name)
                    break
            else:
                found.append((option, [variant.name]))
    return sorted(found, key=lambda each: each[0].name)


def _cell(text: str) -> str:
    # Dashes as in TeX, which docstrings of Diffrax have.
    return re.sub(r"(?<=\w)--(?=\w)", "\u2013", text).replace("|", r"\|")
