"""The build tools: the output after a failure, and when a folder is configured again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nearmetal.build import meson, programs
from nearmetal.errors import NearmetalError

FAILS = {
    "on stdout": ("echo before; echo 'x.c:1: error: no such thing'; echo after", "no such thing"),
    "on stderr": ("echo 'x.c:1: error: no such thing' >&2", "no such thing"),
    "without a known word": ("echo Fehler: geht nicht >&2", "geht nicht"),
    "far from the first error": (
        "echo 'a.c:1: error: one'; seq 1 90; echo collect2 said last", "collect2 said last",
    ),
    "of no encoding": ("printf 'error: \\377 it is\\n'", "it is"),
    "in its log alone": (":", "ERROR: of the log"),
}  # fmt: skip


@pytest.mark.parametrize(("script", "words"), FAILS.values(), ids=FAILS)
def test_the_words_of_a_failed_tool_are_shown(
    script: str, words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log").write_text("looking\nmeson.build:1:0: ERROR: of the log\n")
    with pytest.raises(NearmetalError, match="cannot build the native programs"):
        meson.run(["sh", "-c", f"{script}; exit 7"], {}, "build", tmp_path / "log")
    shown = capfd.readouterr().err
    assert words in shown
    assert "ended with exit code 7" in shown
    assert "before" not in shown


def test_a_tool_that_is_killed_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NearmetalError):
        meson.run(["sh", "-c", "kill -KILL $$"], {}, "build")
    assert "SIGKILL" in capfd.readouterr().err


def test_compilers_are_asked_in_english_and_without_the_shells_flags(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    for name in ("CFLAGS", "LDFLAGS", "CPATH"):
        monkeypatch.setenv(name, "-Wrong")
    environment = meson._environment({"CC": "clang"})
    assert environment["LC_ALL"] == "C.UTF-8"
    assert environment["CC"] == "clang"
    assert not [name for name, value in environment.items() if value == "-Wrong"]


def tool(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'ld: cannot find libclang_rt.fuzzer.a' >&2; exit 1", "cannot find libclang_rt"),
        ("exit 1", "gives no reason"),
        ("exit 0", None),
    ],
)
def test_fuzzing_needs_a_clang_that_links(
    script: str, reason: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool(tmp_path, "clang", script)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    said = programs.fuzz_why_not()
    assert said is None if reason is None else said is not None and reason in said


def test_fuzzing_needs_clang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert programs.fuzz_why_not() == "no clang (package clang)"


@pytest.mark.skipif(shutil.which("clang") is None, reason="clang is not installed")
def test_the_machines_own_clang_is_tried() -> None:
    said = programs.fuzz_why_not()
    assert said is None or "libclang-rt" in said


PROJECT = "project('x', 'c')\nexecutable('x', 'x.c')\n"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project in place of this one."""
    root = tmp_path / "tree"
    root.mkdir()
    (root / "x.c").write_text("int main(void) { return 0; }\n")
    (root / "meson.build").write_text(PROJECT)
    (root / "meson_options.txt").write_text("option('lwip_dir', type: 'string', value: '')\n")
    monkeypatch.setattr(meson, "source_root", lambda: root)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a cache"))
    return root


def brought_up(folder: Path) -> set[str]:
    meson.configure(folder, "normal")
    meson.ninja(folder, [])
    return set(meson.targets(folder))


def test_a_moved_file_is_built_anew(tree: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a folder" / "normal"
    assert brought_up(folder) == {"x"}
    kept = folder / "kept"
    kept.touch()
    (tree / "x.c").rename(tree / "y.c")
    (tree / "meson.build").write_text(PROJECT.replace("x.c", "y.c"))
    assert brought_up(folder) == {"x"}
    assert kept.exists()  # the folder was not made again


@pytest.mark.parametrize("harm", ["private", "option", "half"])
def test_a_folder_that_does_not_fit_is_made_anew(harm: str, tree: Path, tmp_path: Path) -> None:
    folder = tmp_path / "normal"
    brought_up(folder)
    match harm:
        case "private":  # from another version of meson
            (folder / "meson-private" / "coredata.dat").write_bytes(b"of another version")
            (tree / "meson.build").write_text(PROJECT + "# changed\n")
        case "option":
            (tree / "meson_options.txt").write_text(
                "option('lwip_dir', type: 'boolean', value: false)\n"
            )
            (tree / "meson.build").write_text(PROJECT + "# changed\n")
        case "half":
            (folder / "build.ninja").unlink()
    if harm == "option":
        with pytest.raises(NearmetalError, match="cannot configure"):
            meson.configure(folder, "normal")
        (tree / "meson_options.txt").write_text("option('lwip_dir', type: 'string', value: '')\n")
    assert brought_up(folder) == {"x"}
