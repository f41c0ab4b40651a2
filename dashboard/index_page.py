"""The first answer to a browser: which scripts it gets at once, and which only when something needs them.

The charts' library and the tables are by far the largest scripts. A screen with charts or tables has them from the
start; on the others ``assets/later.js`` fetches them when the browser is idle and runs them when one is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from flask import request

from dashboard.pages.page import Page

CHARTS = "/_dash-component-suites/plotly/package_data/plotly.min.js"
_TABLES = re.compile(r'<script src="(/_dash-component-suites/dash_ag_grid/[^"]+)"></script>\n?')
_UNUSED = re.compile(r'<script src="/_dash-component-suites/dash/dash_table/[^"]+"></script>\n?')
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>{metas}{early}
<title>{title}</title><link rel="icon" type="image/svg+xml" href="/assets/favicon.svg">{css}</head>
<body>{app_entry}<footer>{config}{scripts}{renderer}</footer></body>
</html>"""


class IndexPage:
    """Writes the page for the screen that is asked for; stands in for ``Dash.interpolate_index``."""

    def __init__(self, pages: Sequence[Page]) -> None:
        self._pages = {page.path: page for page in pages} | {"": pages[0]}

    def __call__(self, *, scripts: str, favicon: str, **parts: str) -> str:
        """The page.

        Args:
            scripts: tags of all scripts, as Dash writes them.
            favicon: Dash's own, which is not used.
            parts: the other parts by name.
        """
        page = self._pages.get(request.path.strip("/").partition("/")[0])
        early = []
        scripts = _UNUSED.sub("", scripts)
        tables = _TABLES.search(scripts)
        if page is None or not page.tables:
            scripts = _TABLES.sub("", scripts)
            early += [_later("tables", tables.group(1))] if tables else []
        if page is not None and page.charts:
            early.append(f'<script async src="{CHARTS}"></script>')
        else:
            early.append(_later("charts", CHARTS))
        return _PAGE.format(scripts=scripts, early="".join(early), **parts)


def _later(name: str, address: str) -> str:
    """Where a script is to be had, for ``assets/later.js``."""
    return f'<meta name="later-{name}" content="{address}">'
