"""[machine] of a spec and the words of `tune apply`: fully checked, one line per mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearmetal.errors import BadInputError
from nearmetal.machine.tune.wanted import STEADY, Offloads, Wanted, from_words
from nearmetal.spec.experiment import MachineTable, load

ROWS = 'rungs = ["host-py"]\n'


def spec(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "made.toml"
    path.write_text(ROWS + text)
    return path


def test_a_table_of_a_spec(tmp_path: Path) -> None:
    table = (
        '[machine]\ngovernor = "performance"\nturbo = false\nirq = "away"\nhugepages_1gib = 2\n'
        'interface = "eth1"\nrps = "off"\n[machine.offloads]\ngro = false\n'
    )
    assert load(spec(tmp_path, table)).machine == MachineTable(
        governor="performance", turbo=False, irq="away", hugepages_1gib=2, interface="eth1",
        rps="off", offloads=Offloads(gro=False),
    )  # fmt: skip
    assert load(spec(tmp_path, "")).machine == MachineTable()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('governer = "x"', "machine.governer: unknown key; did you mean governor?"),
        ("offloads = { groo = true }", "machine.offloads.groo: unknown key; did you mean gro?"),
        ('irq = "here"', "machine.irq: must be 'away' (got 'here')"),
        ("hugepages_2mib = 0", "machine.hugepages_2mib: must be >= 1 (got 0)"),
        ('governor = "/etc"', "machine.governor: String must match pattern"),
        ('rps = "off"', "machine: rps and offloads need an interface: name it"),
        ('interface = "../x"', "machine.interface: String must match pattern"),
        ("turbo = 7", "machine.turbo: must be a valid boolean"),
    ],
)
def test_one_line_for_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadInputError) as error:
        load(spec(tmp_path, f"[machine]\n{text}\n"))
    assert says in str(error.value) and "\n" not in str(error.value)


def test_words() -> None:
    words = "governor=performance turbo=off smt=on hugepages_2mib=512 interface=eth1 rps=away"
    assert from_words([*words.split(), "offloads.gro=off", "offloads.lro=on"]) == Wanted(
        governor="performance", turbo=False, smt=True, hugepages_2mib=512, interface="eth1",
        rps="away", offloads=Offloads(gro=False, lro=True),
    )  # fmt: skip
    assert from_words([]) == STEADY


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("turbo", "turbo: KEY=VALUE, e.g. turbo=off (keys: governor, turbo, "),
        ("turbo=", "turbo=: KEY=VALUE"),
        ("turbo=soon", "turbo: must be a valid boolean, unable to interpret input (got 'soon')"),
        ("turbox=on", "turbox: unknown key (known: governor, "),
        ("offloads.x=on", "offloads.x: unknown key"),
        ("turbo=on turbo.x=on", "turbo.x=on: turbo has a single value already"),
        ("rps=off", "rps and offloads need an interface"),
    ],
)
def test_words_that_are_wrong(words: str, says: str) -> None:
    with pytest.raises(BadInputError) as error:
        from_words(words.split())
    assert says in str(error.value) and "\n" not in str(error.value)
