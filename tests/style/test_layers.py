"""The layers of src/nearmetal: folders are stages and things, and import only from lower layers.

The earlier a line in LAYERS, the lower the layer: later lines may import it, never the reverse;
names in one line do not import one another. Imports inside functions, and those for types alone,
count as well.
"""

from __future__ import annotations

from pathlib import Path

import layers
import tree

PACKAGE = tree.ROOT / "src" / "nearmetal"
LAYERS = (
    ("errors",),
    ("paths",),
    ("samples", "service"),
    ("machine", "kv"),
    ("topology",),
    ("spec",),
    ("build", "report"),
    ("dut",),
    ("trial",),
    ("bench",),
    ("testbed",),
    ("commands",),
    ("client", "__main__"),
)
# The one folder whose own folders have layers.
MACHINE = (
    ("cores", "devices", "facts", "processes", "rights"),
    ("hugepage_claims", "records"),
    ("undo",),
    ("journal",),
    ("memory",),
    ("links", "vm"),
    ("needs", "tune"),
)
ENTRIES_MAX = 16
PYTHONS_OWN = {"__init__.py", "__main__.py", "py.typed"}  # names with a meaning for Python


def test_imports_lead_down() -> None:
    found = layers.imports(PACKAGE)
    assert not layers.unknown(found, LAYERS), "name these in LAYERS"
    assert not layers.unknown(found, MACHINE, "machine"), "name these in MACHINE"
    wrong = layers.upward(found, LAYERS) + layers.upward(found, MACHINE, "machine")
    assert not wrong, "\n".join(["these imports lead up, or to the same layer:", *wrong])


def test_no_circles() -> None:
    assert not layers.circles(layers.imports(PACKAGE))


def test_few_entries() -> None:
    files = [name for name in tree.files() if name.startswith("src/nearmetal/")]
    entries = {name.split("/")[2] for name in files} - PYTHONS_OWN
    assert len(entries) <= ENTRIES_MAX, f"{len(entries)} entries: {sorted(entries)}"


def planted(folder: Path, **files: str) -> list[layers.Import]:
    """Return the imports of a made-up package; `a__b` is the file a/b.py."""
    package = folder / "nearmetal"
    for name, text in files.items():
        path = package / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        (path.parent / "__init__.py").touch()
    return layers.imports(package)


LOW_AND_HIGH = (("spec",), ("trial",), ("commands",))


def test_a_wrong_import_is_found_wherever_it_stands(tmp_path: Path) -> None:
    good = {"spec__rungs": "", "trial__start": "from nearmetal.spec import rungs\n"}
    assert layers.upward(planted(tmp_path / "good", **good), LOW_AND_HIGH) == []
    wrong = "from nearmetal.commands.load import pace"
    for number, text in enumerate(
        (
            f"{wrong}\n",
            "import nearmetal.commands.load\n",
            "from nearmetal.commands import load\n",
            f"def later():\n    {wrong}\n",
            f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {wrong}\n",
        )
    ):
        found = planted(tmp_path / str(number), trial__start=text, commands__load="pace = 1\n")
        (told,) = layers.upward(found, LOW_AND_HIGH)
        assert told.startswith("trial.start:") and told.endswith(" imports commands.load")


def test_a_folder_that_no_layer_names_is_found(tmp_path: Path) -> None:
    found = planted(tmp_path, other__a="from nearmetal.spec import b\n", spec__b="")
    assert layers.unknown(found, LOW_AND_HIGH) == {"other"}


def test_a_circle_is_found_among_folders_and_within_one(tmp_path: Path) -> None:
    across = {
        "a__one": "from nearmetal.b import two\n",
        "b__two": "",
        "b__three": "from nearmetal.a.four import x\n",
        "a__four": "x = 1\n",
    }
    assert layers.circles(planted(tmp_path / "across", **across)) == ["the package: a -> b -> a"]
    within = {"a__one": "from nearmetal.a import two\n", "a__two": "import nearmetal.a.one\n"}
    assert layers.circles(planted(tmp_path / "within", **within)) == ["a: one -> two -> one"]
    downward = {"a__one": "from nearmetal.b import two\n", "b__two": ""}
    assert layers.circles(planted(tmp_path / "none", **downward)) == []
