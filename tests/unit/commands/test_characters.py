"""Output to a terminal that cannot show all characters."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from nearmetal.commands import characters
from nearmetal.paths import source_root


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("ascii", b">= 3 M 5 us, + ?"), ("latin-1", b">= 3 M 5 \xb5s, + ?"), ("utf-8", None)],
)
def test_a_sign_that_is_lacking_is_said_plainly(encoding: str, shown: bytes | None) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    characters.tolerant(stream)
    text = "≥ 3 M 5 µs, † 漢"
    stream.write(text)
    stream.flush()
    assert raw.getvalue() == (text.encode() if shown is None else shown)


def test_a_name_of_no_encoding_is_shown_all_the_same() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8")
    characters.tolerant(stream)
    stream.write("x\udcff")
    stream.flush()
    assert raw.getvalue() == b"x?"


@pytest.mark.parametrize(
    "given",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii", "COLUMNS": "80"},
    ],
)
@pytest.mark.parametrize(("command", "shows"), [("list", b"host-mmsg"), ("doctor", b"rights")])
def test_commands_in_any_encoding(command: str, shows: bytes, given: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nearmetal", command],
        env={**os.environ, **given, "PYTHONPATH": str(source_root() / "src")},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert shows in done.stdout
