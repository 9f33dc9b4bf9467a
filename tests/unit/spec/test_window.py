"""One window for all wires, or one for each."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearmetal.errors import BadInputError
from nearmetal.spec import experiment
from nearmetal.spec.window import Window, everywhere

ROWS = 'rungs = ["host-sock"]\n'


def loaded(tmp_path: Path, text: str) -> Window:
    path = tmp_path / "mine.toml"
    path.write_text(text + ROWS)
    found = experiment.load(path)
    assert experiment.Spec.model_validate_json(found.model_dump_json()) == found
    return found.window


def test_what_a_file_may_say(tmp_path: Path) -> None:
    assert loaded(tmp_path, "") == Window(veth=128, vhost_user=256)  # design: standard
    assert loaded(tmp_path, "window = 7\n") == Window(veth=7, vhost_user=7)
    both = "window = { veth = 64, vhost-user = 512 }\n"
    assert loaded(tmp_path, both) == Window(veth=64, vhost_user=512)
    assert loaded(tmp_path, "window = { vhost-user = 512 }\n").veth == 128


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("window = 65_537\n", "window: must be <= 65536 (got 65537)"),
        ("window = true\n", "window: must be a valid integer, or one for each wire"),
        ("window = { veth = 0 }\n", "window.veth: must be >= 1 (got 0)"),
        ("window = { vets = 1 }\n", "window.vets: unknown key; did you mean veth?"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadInputError) as caught:
        loaded(tmp_path, text)
    assert says in str(caught.value)


def test_each_wire_has_its_own_and_lo_has_veths() -> None:
    window = Window(veth=1, vhost_user=2)
    assert [window.of(wire) for wire in ("veth", "lo", "vhost-user")] == [1, 1, 2]
    assert everywhere(3) == Window(veth=3, vhost_user=3)
