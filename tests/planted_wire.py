"""A wire that needs one more file: a copy of an existing wire under another name, added for a time.

As a program it runs the whole flow of `bench` with one row on the planted wire, and leaves the
run's folder: python tests/planted_wire.py OUT WIRE, where WIRE is the wire that is copied.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nearmetal import bench
from nearmetal.paths import source_root
from nearmetal.spec.experiment import Spec, SpecRung, load
from nearmetal.spec.rungs import Rung, find
from nearmetal.topology import known, wires
from nearmetal.trial.progress import Shown

NAME = "planted"


def text(of: str) -> str:
    """Return the file of a wire with another name, and without its stands_in_for."""
    wire = known.find(of)
    module = sys.modules[wire.topology.__module__]
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    for words in (f'Literal["{of}"] = "{of}"', f'name="{of}"'):
        assert source.count(words) == 1, words
        source = source.replace(words, words.replace(of, NAME))
    return re.sub(r"^    stands_in_for=.*\n", "", source, flags=re.MULTILINE)


@contextmanager
def planted(folder: Path, of: str) -> Iterator[None]:
    """Add the wire while the body runs; its file is written to the folder."""
    (folder / f"{NAME}.py").write_text(text(of), encoding="utf-8")
    wires.__path__.append(str(folder))
    known.known.cache_clear()
    try:
        yield
    finally:
        wires.__path__.remove(str(folder))
        sys.modules.pop(f"{wires.__name__}.{NAME}", None)
        vars(wires).pop(NAME, None)
        known.known.cache_clear()


def row(name: str) -> Rung:
    """Return one of our rungs, on the planted wire."""
    return Rung.model_validate(find(name).model_dump() | {"wire": NAME})


def spec(name: str) -> Spec:
    """Return the experiment smoke with only that row, on the planted wire."""
    chosen = load(source_root() / "specs" / "smoke.toml", name)
    one = SpecRung(rung=row(name), services=find(name).services, rounds=1)
    return chosen.model_copy(update={"rungs": (one,)})


def main(out: Path, of: str) -> int:
    """Run the flow of `bench` without questions: anything missing makes the row fail."""
    beside = out.with_name(f"{out.name}-wire")
    beside.mkdir(parents=True)
    with planted(beside, of), Shown() as shown:
        _, code = bench.bench(spec("host-sock"), bench.new_folder(out, NAME), shown)
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
