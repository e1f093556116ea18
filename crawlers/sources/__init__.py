"""One file a source."""

from pkgutil import iter_modules


def source_names() -> list[str]:
    """Names of all sources, from the files in this folder."""
    return sorted(module.name for module in iter_modules(__path__))
