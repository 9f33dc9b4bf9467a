"""Images that a spec brings along: what is right becomes a rung, what is wrong is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearmetal.dut import image
from nearmetal.errors import BadInputError
from nearmetal.spec import experiment

GOOD = """
rungs = ["mine", "ceiling"]
[[image]]
name = "mine"
kernel = "kernel"
cmdline = "console=ttyS0"
address = "10.0.0.2"
"""


def load(folder: Path, text: str, only: str | None = None) -> experiment.Spec:
    (folder / "kernel").write_bytes(b"kernel")
    (folder / "empty").write_bytes(b"")
    path = folder / "spec.toml"
    path.write_text(text, encoding="utf-8")
    return experiment.load(path, only)


def test_it_is_a_row_of_that_spec(tmp_path: Path) -> None:
    row = load(tmp_path, GOOD).rungs[0]
    assert (row.rung.place, row.rung.machine, row.services) == ("image", "q35", ("kv",))
    made = row.rung.image
    assert made is not None and made.kernel == str((tmp_path / "kernel").resolve())
    assert made.port == 11211 and made.memory_bytes == 128 << 20
    assert len(made.kernel_sha256) == 64


def test_it_can_be_chosen_alone(tmp_path: Path) -> None:
    assert [row.rung.name for row in load(tmp_path, GOOD, "mine").rungs] == ["mine"]


def test_it_is_written_down_whole(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD)
    assert experiment.Spec.model_validate_json(found.model_dump_json()) == found


def test_who_asks_it_is_its_neighbour(tmp_path: Path) -> None:
    for address, asker in (("10.0.0.2", "10.0.0.1"), ("10.0.0.1", "10.0.0.2")):
        made = load(tmp_path, GOOD.replace("10.0.0.2", address)).rungs[0].rung.image
        assert made is not None and image.asker(made) == asker


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kernel = "kernel"', 'kernel = "gone"', "image mine: kernel: .*gone is not there"),
        ('kernel = "kernel"', 'kernel = "empty"', "image mine: kernel: .*empty is empty"),
        ('kernel = "kernel"', 'kernel = "."', "image mine: kernel: .* is no file"),
        ('kernel = "kernel"', "", "image.0.kernel: missing"),
        ("cmdline", "initrd = 'gone'\ncmdline", "image mine: initrd: .*gone is not there"),
        ("cmdline", "cmdlin", "image.0.cmdlin: unknown key; did you mean cmdline"),
        ("10.0.0.2", "10.0.0.300", "image.0.address"),
        ("10.0.0.2", "127.0.0.2", "wants the IPv4 address of one host"),
        ("10.0.0.2", "10.0.0.255", "wants the IPv4 address of one host"),
        ("address", "port = 70000\naddress", "image.0.port: must be .*65535"),
        ("address", 'memory = "12 MB"\naddress', "image.0.memory: not a size"),
        ("address", 'machine = "pc"\naddress', "image.0.machine: must be 'microvm' or 'q35'"),
        ("address", 'service = "http"\naddress', "image.0.service: must be 'kv' or 'echo'"),
        ('name = "mine"', 'name = "host-sock"', "host-sock is a rung already"),
        ('"ceiling"', '"other"', "unknown rung 'other'"),
        ('"ceiling"', '"mine:echo"', "mine has no service 'echo'"),
    ],
)
def test_what_is_wrong_is_one_line(old: str, new: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=said) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(tmp_path))


def test_two_of_one_name(tmp_path: Path) -> None:
    twice = GOOD + GOOD.partition("[[image]]")[1] + GOOD.partition("[[image]]")[2]
    with pytest.raises(BadInputError, match="image mine: there are two of that name"):
        load(tmp_path, twice)


def test_an_accelerator_may_be_asked_for(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).machine.accelerator is None
    forced = GOOD + '[machine]\naccelerator = "kvm"\n'
    assert load(tmp_path, forced).machine.accelerator == "kvm"
    with pytest.raises(BadInputError, match=r"machine.accelerator: must be 'kvm' or 'tcg'"):
        load(tmp_path, forced.replace('"kvm"', '"hvf"'))
