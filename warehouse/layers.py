"""The SQL layers as files: what makes each table, what fills it, and the views upon them."""

from __future__ import annotations

from importlib.resources import files

_FILLING = ";\nINSERT"  # parts what makes a stored table from what fills it; a view has no such part


def statements(folder: str) -> dict[str, str]:
    """Name → SQL of the files of one folder of `sql/`, in name order; a number before a name is for that."""
    entries = files("warehouse").joinpath("sql", folder).iterdir()
    return {
        entry.name.removesuffix(".sql"): entry.read_text("utf-8")
        for entry in sorted(entries, key=lambda entry: entry.name)
        if entry.name.endswith(".sql")
    }


def plain(name: str) -> str:
    """A file's name without its place: the table's."""
    return name.lstrip("0123456789").removeprefix("_")


def tables(layer: str) -> dict[str, tuple[str, str]]:
    """(CREATE, INSERTs) of each stored table of a layer, by "<layer>.<table>", in order."""
    found = {}
    for name, text in statements(layer).items():
        create, stored, insert = text.partition(_FILLING)
        if stored:
            found[f"{layer}.{plain(name)}"] = (f"{create};", f"INSERT{insert}")
    return found


def views() -> list[str]:
    """The statements that make the views of `core` and all of `mart`, in order."""
    core = [text for text in statements("core").values() if _FILLING not in text]
    return [*core, *statements("mart").values()]
