"""Faults in words: what a server prints of them, made into sentences and names."""

from __future__ import annotations

from pathlib import Path

import pytest
import written

from nearmetal.paths import source_root
from nearmetal.service import faults
from nearmetal.service.buffers import Source
from nearmetal.service.compile.folder import FILE_BYTES, file_name
from nearmetal.service.runner import Runner

SOURCE = Source(bytes(16), 1)
PLACE = {"word": "index_error", "file": "hello.py", "line": 7}
OTHER = {"word": "raised", "file": "parts/names.py", "line": 3, "what": "ValueError: no"}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([PLACE], "first index_error: hello.py, line 7"),
        (
            [PLACE, OTHER],
            "first index_error: hello.py, line 7;"
            " first raised: parts/names.py, line 3 (ValueError: no)",
        ),
        ([], ""),
        (None, ""),
        ("index_error", ""),
        ([7, PLACE], "first index_error: hello.py, line 7"),
    ],
)
def test_faults_in_words(found: object, words: str) -> None:
    assert faults.in_words({"event": "final", "faults": found}) == words


def test_a_line_without_faults_has_no_words() -> None:
    assert faults.in_words({"event": "final"}) == ""


def test_a_fault_in_a_file_of_a_folder_beside_has_its_path(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").touch()
    (tmp_path / "parts" / "last.py").write_text("def last(data):\n    return data[len(data)]\n")
    body = written.answering("return last(request)")
    one = Runner(written.loaded(tmp_path, f"from parts.last import last\n{body}"))
    assert one.answer(b"ab", SOURCE, 0).drop == faults.INDEX_ERROR
    (fault,) = one.faults.values()
    assert (fault.file, fault.line) == ("parts/last.py", 2)
    assert str(fault).endswith(f" at {tmp_path}/parts/last.py:2")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("hello.py", "hello.py"),
        ("a b/c.py", "a b/c.py"),
        ("\u00e4.py", "?.py"),
        ('a"b\\c\n.py', "a?b?c?.py"),
        ("a??/b.py", "a__/b.py"),
        ("x" * 44 + ".py", "x" * 44 + ".py"),
        ("y" + "x" * 44 + ".py", "..." + "x" * 41 + ".py"),
    ],
)
def test_a_file_of_any_name_can_be_printed(name: str, shown: str) -> None:
    assert file_name(name) == shown
    assert len(shown) < FILE_BYTES


def test_both_sides_have_the_same_length() -> None:
    header = (source_root() / "native/include/service.h").read_text()
    assert f"#define SERVICE_FILE_BYTES {FILE_BYTES}\n" in header
