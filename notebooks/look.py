"""How the notebooks look: tables that sort and search, plots that need no network, text that stays text.

All that comes from sources and profiles is escaped before it is markup; only http(s) addresses are links.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from html import escape
from typing import Any

import itables
import pandas as pd
import plotly.graph_objects as go
from duckdb import DuckDBPyRelation
from IPython.display import HTML, Markdown, display
from plotly.offline import get_plotlyjs

from pipeline.prose import cut
from pipeline.wording import READERS_ZONE, line, web_address

# of Okabe and Ito, which differ also for the colour-blind
BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8A949C"
SOON, NEAR = 21, 60  # days
LONGEST = 220  # characters of a cell
LABEL = 46  # characters of a label on an axis


def start() -> None:
    """Load what tables and plots need into the notebook itself. Call it once, first."""
    itables.init_notebook_mode(connected=False)
    itables.options.maxBytes = 0  # all rows: a table is there to be searched
    display(HTML(f"<script>{get_plotlyjs()}</script>"))


def table(
    rows: DuckDBPyRelation | Sequence[Mapping[str, Any]], hide: Sequence[str] = (), note: str = ""
) -> None:
    """Show rows as a table to sort and search; a `title` leads to its `url`. Without rows, `note`."""
    if isinstance(rows, DuckDBPyRelation):
        found = [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()]
    else:
        found = [dict(row) for row in rows]
    if not found:
        say(note or "*Nothing here.*")
        return
    cells = [
        {n: link(v, row.get("url")) if n == "title" else _cell(n, v) for n, v in row.items()} for row in found
    ]
    shown = pd.DataFrame(cells, dtype=object).drop(columns=["url", *hide], errors="ignore")
    shown.columns = pd.Index([name.replace("_", " ") for name in shown.columns])
    wide = [i for i, name in enumerate(shown.columns) if name in ("title", "reason", "clause", "call text")]
    display(
        HTML(
            itables.to_html_datatable(
                shown,
                allow_html=True,
                showIndex=False,
                connected=False,
                classes="display compact",
                order=[],
                columnDefs=[
                    {"className": "dt-left", "targets": "_all"},
                    {"width": "26%", "targets": wide},
                ],
                lengthMenu=[10, 25, 100],
                autoWidth=False,
                style="width:100%",
            )
        )
    )


def page(html: str, height: int) -> None:
    """Show a whole page within the notebook, apart from it: nothing in it can run or reach the notebook."""
    style = f"width:100%;height:{height}px;border:1px solid #c7d2db"
    display(HTML(f'<div><iframe sandbox="" style="{style}" srcdoc="{escape(html)}"></iframe></div>'))


def say(words: str) -> None:
    """Show a line of Markdown, of our own words and ids."""
    display(Markdown(words))


def link(title: str, url: str | None) -> str:
    """A title as a link where its address is one, else as text."""
    words = escape(cut(line(title), LONGEST))
    address = web_address(url)
    if not address:
        return words
    return f'<a href="{escape(address)}" target="_blank" rel="noopener noreferrer">{words}</a>'


def _cell(name: str, value: Any) -> Any:
    """A cell: numbers as they are, amounts in euros, unknown empty, text escaped and cut."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(READERS_ZONE):%Y-%m-%d %H:%M}"
    if name.endswith("eur") and isinstance(value, int | float):
        return f"€ {value:,.0f}"
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return value
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return escape(cut(line(text), LONGEST))


def label(text: str) -> str:
    """A short text for an axis or a hover, in which nothing is markup."""
    return escape(cut(line(text), LABEL), quote=False)


def show(figure: go.Figure, height: int) -> None:
    """Show a plot that is whole in the notebook: no library is fetched to draw it."""
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 20, "t": 30, "b": 40},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": GREY, "size": 13},
        hoverlabel={"align": "left"},
        legend={"orientation": "h", "y": 1.08, "x": 0},
        barmode="group",
    )
    figure.update_xaxes(gridcolor="rgba(138,148,156,.25)", zerolinecolor=GREY)
    figure.update_yaxes(automargin=True)
    display(
        HTML(
            figure.to_html(
                full_html=False,
                include_plotlyjs=False,
                include_mathjax=False,
                default_width="100%",
                config={"displayModeBar": False},
            )
        )
    )


def timeline(rows: DuckDBPyRelation, today: date, most: int = 25) -> None:
    """Deadlines on a time line, soonest on top; the colour says how near. At most so many."""
    found = rows.limit(most).df()
    if found.empty:
        say("*No deadline is stated for these calls.*")
        return
    found["on_date"] = pd.to_datetime(found["on_date"])
    names = [f"{label(title)} ({number})" for number, title in enumerate(found["title"], start=1)]
    figure = go.Figure()
    for near, words, colour in (
        ((-1, SOON), f"within {SOON} days", VERMILION),
        ((SOON, NEAR), f"within {NEAR} days", ORANGE),
        ((NEAR, 10**6), "later", BLUE),
    ):
        at = [i for i, left in enumerate(found["days_left"]) if near[0] < left <= near[1]]
        figure.add_scatter(
            x=[found["on_date"][i] for i in at],
            y=[names[i] for i in at],
            mode="markers",
            name=words,
            marker={"size": 13, "color": colour, "symbol": "diamond"},
            hovertext=[f"{names[i]}<br>{_due(found.iloc[i])}" for i in at],
            hoverinfo="text",
        )
    figure.add_vline(x=pd.Timestamp(today), line_dash="dot", line_color=GREY)
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1])
    figure.update_xaxes(title="deadline; the dotted line is the day of the run")
    show(figure, 150 + 24 * len(names))


def _due(row: pd.Series[Any]) -> str:
    """A deadline as a hover tells it."""
    return f"{row['on_date']:%d %B %Y}, {row['days_left']} days left<br>printed: {label(row['printed'])}"


def bars(
    rows: DuckDBPyRelation, name: str, values: Mapping[str, tuple[str, str]], title: str, most: int = 20
) -> None:
    """Bars across, the first row on top; `values` are column → (words, colour), one beside the other."""
    found = rows.limit(most).df()
    if found.empty:
        say("*Nothing to draw: there are no such rows.*")
        return
    names = [label(text) for text in found[name]]
    figure = go.Figure()
    for column, (words, colour) in values.items():
        figure.add_bar(y=names, x=found[column], name=words, orientation="h", marker_color=colour)
    figure.update_yaxes(categoryorder="array", categoryarray=list(dict.fromkeys(names))[::-1])
    figure.update_xaxes(title=title)
    show(figure, 130 + (18 + 12 * len(values)) * len(names))
