"""Templates of this folder: how the report's page and the ladder's picture are filled in."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment() -> Environment:
    """Return an environment that escapes values, and refuses names that have no value."""
    return Environment(
        loader=PackageLoader("nearmetal.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
