"""A `Table` written as plain text, JSON, HTML or a rich console table."""

from __future__ import annotations

import json
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any

from axdnn.report.tables import Table, TableText, table_strings
from axdnn.report.units import Quantity

if TYPE_CHECKING:
    from rich.table import Table as RichTable


def table_text(table: Table) -> str:
    """Return the table as aligned plain text, one line a row, for files, logs and pipes."""
    text = table_strings(table)
    lines = [text.heads, *text.rows, *([text.footer] if text.footer else [])]
    lines = [tuple(" ".join(cell.split()) for cell in line) for line in lines]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]

    def write(line: tuple[str, ...]) -> str:
        cells = (
            cell.ljust(width) if column.is_text else cell.rjust(width)
            for cell, width, column in zip(line, widths, table.columns, strict=True)
        )
        return "  ".join(cells).rstrip()

    groups = _group_line(table, widths)  # may widen a column
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    body = [write(line) for line in lines]
    if text.footer:
        body.insert(-1, rule)
    return "\n".join([table.title, rule, *groups, body[0], rule, *body[1:], *table.notes]) + "\n"


def _group_line(table: Table, widths: list[int]) -> list[str]:
    """Shared heads above their columns, or nothing where no column has one; widens the last column to fit them."""
    if not any(column.group for column in table.columns):
        return []
    parts, start = [], 0
    for group, members in groupby(table.columns, key=lambda column: column.group):
        end = start + len(list(members))
        room = sum(widths[start:end]) + 2 * (end - start - 1)
        widths[end - 1] += max(0, len(group) - room)
        parts.append(group.ljust(max(room, len(group))))
        start = end
    return ["  ".join(parts).rstrip()]


def _full_heads(table: Table, text: TableText) -> tuple[str, ...]:
    """Heads with the group they stand under, for the terminal, which has one line of heads."""
    pairs = zip(table.columns, text.heads, strict=True)
    return tuple(f"{column.group}: {head}" if column.group else head for column, head in pairs)


def table_builtins(table: Table) -> dict[str, Any]:
    """Return the table as dictionaries and lists: SI values, one dictionary a row, keyed by column."""
    keys = [column.key for column in table.columns]

    def plain(row: tuple[Any, ...]) -> dict[str, Any]:
        cells = ({"value": c.value, "unit": c.unit} if isinstance(c, Quantity) else c for c in row)
        return dict(zip(keys, cells, strict=True))

    columns = [{"key": c.key, "head": c.head, "unit": _si_unit(c.kind, c.unit)} for c in table.columns]
    return {
        "title": table.title,
        "columns": columns,
        "rows": [plain(row) for row in table.rows],
        "total": plain(table.footer) if table.footer else None,
        "notes": list(table.notes),
    }


def _si_unit(kind: str, unit: str) -> str:
    return "fraction" if kind in ("percent", "points") else unit


def table_json(table: Table) -> str:
    """Return the table as JSON text (see `table_builtins`)."""
    return json.dumps(table_builtins(table), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def table_html(table: Table) -> str:
    """Return the table as an HTML `table` inside a scrolling box; every text is escaped."""
    text = table_strings(table)
    kinds = ["t" if column.is_text else "n" for column in table.columns]
    kinds = [f"{kind} first" if edge else kind for kind, edge in zip(kinds, _edges(table), strict=True)]

    def row(cells: tuple[str, ...]) -> str:
        parts = [f'<th scope="row" class="{kinds[0]}">{escape(cells[0])}</th>']
        parts += [f'<td class="{kind}">{escape(cell)}</td>' for cell, kind in zip(cells[1:], kinds[1:], strict=True)]
        return f"<tr>{''.join(parts)}</tr>"

    heads = "".join(
        f'<th scope="col" class="{kind}"{_width(text, i) if kind[0] == "t" else ""}>{_head_html(head)}</th>'
        for i, (head, kind) in enumerate(zip(text.heads, kinds, strict=True))
    )
    foot = f"<tfoot>{row(text.footer)}</tfoot>" if text.footer else ""
    body = "\n".join(row(cells) for cells in text.rows)
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in table.notes)
    return (
        f'<div class="table"><div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}">'
        f"<table><caption>{escape(table.title)}</caption><thead>{_groups_html(table)}<tr>{heads}</tr></thead>"
        f"<tbody>\n{body}\n</tbody>{foot}</table></div>{notes}</div>"
    )


def _edges(table: Table) -> list[bool]:
    """Whether a column is the first one under or after a shared head."""
    groups = [column.group for column in table.columns]
    return [i > 0 and group != groups[i - 1] for i, group in enumerate(groups)]


def _groups_html(table: Table) -> str:
    """A line of heads shared by neighbouring columns, or nothing where no column has one."""
    if not any(column.group for column in table.columns):
        return ""
    cells, edges, start = [], _edges(table), 0
    for group, members in groupby(table.columns, key=lambda column: column.group):
        span = len(list(members))
        kind = "group first" if edges[start] else "group"
        tag = "th" if group else "td"
        scope = ' scope="colgroup"' if group else ""
        cells.append(f'<{tag} class="{kind}"{scope} colspan="{span}">{escape(group)}</{tag}>')
        start += span
    return f"<tr>{''.join(cells)}</tr>"


def _width(text: TableText, index: int) -> str:
    """Room for the longest word of a column, so that usual names are not broken and very long ones are."""
    words = (word for row in text.rows for word in row[index].split(" "))
    longest = max((len(word) + 0.3 * sum(map(str.isupper, word)) for word in words), default=0.0)  # capitals are wide
    return f' style="min-width:min({min(longest * 0.99, 26):.1f}ch + 18px,38vw)"'


def _head_html(head: str) -> str:
    """Units of a head on their own span, so that they can be set lighter."""
    if head.endswith(")") and " (" in head:
        name, unit = head[:-1].rsplit(" (", 1)
        return f'{_breakable(name)} <span class="unit">({escape(unit)})</span>'
    return _breakable(head)


def _breakable(head: str) -> str:
    return escape(head).replace("_", "_<wbr>")


def table_rich(table: Table) -> RichTable:
    """Return the table as a `rich.table.Table`; cell texts are literal (no markup)."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    text = table_strings(table)
    caption = Text("\n".join(table.notes), style="dim") if table.notes else None
    rich = RichTable(
        title=Text(table.title, style="bold"),
        title_justify="left",
        caption=caption,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_footer=text.footer is not None,
        pad_edge=False,
    )
    for i, (head, column) in enumerate(zip(_full_heads(table, text), table.columns, strict=True)):
        rich.add_column(
            Text(head),
            Text(text.footer[i]) if text.footer else "",
            justify="left" if column.is_text else "right",
            overflow="fold",
        )
    for cells in text.rows:
        rich.add_row(*(Text(cell) for cell in cells))
    return rich
