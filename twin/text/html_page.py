"""A self-contained HTML page: escaped text, tables, Plotly figures; nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import plotly.graph_objects as go

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:1180px;padding:0 1rem;color:#1b2733}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .55rem;border-bottom:1px solid #d8dee4;text-align:right;vertical-align:top}
th:first-child,td:first-child{text-align:left}small{color:#5b6875}pre{white-space:pre-wrap}
.warn{background:#fff4d6;padding:.6rem .9rem;border-left:4px solid #d99a00}
.figures{display:flex;gap:2.5rem;flex-wrap:wrap;margin:1rem 0}.figures b{display:block;font-size:1.7rem}
"""


def page(title: str, parts: Iterable[str]) -> str:
    """The page of some parts, which are HTML already; Plotly's code is inside.

    Args:
        title: plain text.
        parts: made by the functions below, or escaped by the caller.
    """
    from plotly.offline import get_plotlyjs

    head = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f"<script>{get_plotlyjs()}</script></head><body>",
        f"<h1>{escape(title)}</h1>",
    ]
    return "\n".join([*head, *parts, "</body></html>\n"])


def heading(text: str) -> str:
    """A section's title."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str, style: str = "") -> str:
    """A paragraph of plain text."""
    mark = f" class='{escape(style)}'" if style else ""
    return f"<p{mark}>{escape(text)}</p>"


def figures(pairs: Iterable[tuple[str, str]]) -> str:
    """Large numbers side by side: (what, value)."""
    cells = "".join(f"<div><b>{escape(value)}</b>{escape(what)}</div>" for what, value in pairs)
    return f"<div class='figures'>{cells}</div>"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain text."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def chart(name: str, figure: go.Figure) -> str:
    """A Plotly figure; ``name`` is its id on the page, so that equal content gives equal bytes."""
    html: str = figure.to_html(full_html=False, include_plotlyjs=False, div_id=name)
    return html
