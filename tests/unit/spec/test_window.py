"""One window for all wires, or one per wire."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearmetal.errors import BadInputError
from nearmetal.spec import experiment
from nearmetal.spec.window import Window, everywhere

ROWS = 'rungs = ["host-sock"]\n'


def window(veth: int, vhost_user: int) -> Window:
    return Window.model_validate({"veth": veth, "vhost-user": vhost_user})


def loaded(tmp_path: Path, text: str) -> Window:
    path = tmp_path / "mine.toml"
    path.write_text(text + ROWS)
    found = experiment.load(path)
    assert experiment.Spec.model_validate_json(found.model_dump_json()) == found
    return found.window


def test_what_a_file_may_say(tmp_path: Path) -> None:
    assert loaded(tmp_path, "") == window(128, 256)  # the default
    assert loaded(tmp_path, "window = 7\n") == window(7, 7)
    both = "window = { veth = 64, vhost-user = 512 }\n"
    assert loaded(tmp_path, both) == window(64, 512)
    assert loaded(tmp_path, "window = { vhost-user = 512 }\n") == window(128, 512)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("window = 65_537\n", "window: must be <= 65536 (got 65537)"),
        ("window = true\n", "window: must be a valid integer, or a table by wire"),
        ("window = { veth = 0 }\n", "window.veth: must be >= 1 (got 0)"),
        ("window = { vets = 1 }\n", "window.vets: unknown key; did you mean veth?"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadInputError) as caught:
        loaded(tmp_path, text)
    assert says in str(caught.value)


def test_each_wire_has_its_own_and_lo_has_veths() -> None:
    made = window(1, 2)
    assert [made.of(wire) for wire in ("veth", "lo", "vhost-user")] == [1, 1, 2]
    assert [made.of(wire) for wire in ("tap", "vhost-net", "pvp", "nic")] == [1, 1, 1, 1]
    assert everywhere(3) == window(3, 3)
    assert made.model_dump_json() == '{"veth":1,"vhost-user":2}'
