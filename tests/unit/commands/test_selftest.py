"""`test`: the order of builds and tests, its exit code, and the output that README shows."""

from __future__ import annotations

from pathlib import Path

import pytest

import documents
from nearmetal.build import programs
from nearmetal.commands import test as command

CLOSING = "6577 passed, 279 skipped in 525.82s (0:08:45)"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the command lines of tools, which are recorded and not started."""
    found: list[list[str]] = []

    def call(argv: list[str], environment: dict[str, str], folder: Path | None = None) -> int:
        del environment, folder
        found.append(argv)
        print("1/63 a line of the tool" if "pytest" not in argv else CLOSING, flush=True)
        return 1 if argv[-1] == "fails" else 0

    monkeypatch.setattr(command, "_call", call)
    monkeypatch.setattr(programs, "build", lambda: None)
    monkeypatch.setattr(programs, "build_c_tests", lambda variant: None)
    monkeypatch.setattr(programs, "fuzz_why_not", lambda: None)
    return found


def test_readme_shows_its_output(
    started: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.selftest(full=False, only=None, minutes=None) == 0
    shown = documents.shown("README.md", "build normal: ")
    assert documents.shape(shown).fullmatch(capsys.readouterr().out)
    assert ["mesonbuild.mesonmain" in argv for argv in started] == [True, True, False]


def test_what_fails_is_in_the_exit_code(started: list[list[str]]) -> None:
    assert command.selftest(full=False, only="fails", minutes=None) == 1
    (pytest_only,) = started  # with -k no C test runs
    assert pytest_only[-2:] == ["-k", "fails"]


def test_without_clang_the_fuzzers_are_skipped_with_the_reason(
    started: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(programs, "fuzz_why_not", lambda: "clang is missing")
    assert command.selftest(full=False, only=None, minutes=None) == 0
    assert "fuzzers: skipped, clang is missing\n" in capsys.readouterr().out
    assert len(started) == 2
