"""Services' files that tests write."""

from __future__ import annotations

import textwrap
from pathlib import Path

from nearmetal.service.load import Loaded, load

HEAD = """\
from nearmetal.service import *
service = Service("mine", port=7000)
"""


def write(folder: Path, text: str, name: str = "mine.py", *, head: str = HEAD) -> Path:
    """Write a service's file; `head` declares the service in two lines."""
    path = folder / name
    path.write_text(head + textwrap.dedent(text))
    return path


def loaded(folder: Path, text: str, *, head: str = HEAD, **arguments: str) -> Loaded:
    """Write a service's file and load it."""
    return load(write(folder, text, head=head), arguments)


def answering(body: str) -> str:
    """Return the function answer with a body."""
    head = "def answer(request, reply, state, source, now_ns):\n"
    return head + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n"
