"""The machines file: its meaning, and the messages for its mistakes."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import documents
from nearmetal.errors import BadInputError, NearmetalError
from nearmetal.paths import source_root
from nearmetal.testbed import enos
from nearmetal.testbed.spec import BedSpec, parse

DOCS = source_root() / "docs" / "testbed.md"
STATIC = """
[sut]
host = "server"
nic = "eth1"
address = "10.10.0.1/24"

[[tg]]
host = "client"
nic = "eth1"
address = "10.10.0.2/24"
"""


def blocks() -> list[str]:
    """Return the machines files in docs/testbed.md."""
    found = documents.blocks("docs/testbed.md")
    return [block.text for block in found if block.mark == "tested by" and block.language == "toml"]


def provider(text: str) -> str:
    found: str = tomllib.loads(text).get("provider", {}).get("name", "static")
    return found


def test_static_machines_become_enoslibs_configuration() -> None:
    spec = parse(STATIC, "x")
    assert list(spec.seats()) == ["sut", "tg1"]
    machines = spec.config()["resources"]["machines"]
    assert [(m["address"], m["roles"], m["user"]) for m in machines] == [
        ("server", ["sut"], "root"),
        ("client", ["tg1"], "root"),
    ]
    assert (spec.sut.addr, spec.sut.subnet) == ("10.10.0.1", "10.10.0.0/24")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('host = "server"\n', ""), "sut.host: missing"),
        (("10.10.0.2/24", "10.20.0.2/24"), "tg1.address: 10.20.0.2/24 is in another network"),
        (("10.10.0.2/24", "10.10.0.1/24"), "10.10.0.1 is given to two machines"),
        (("10.10.0.1/24", "10.10.0.1"), "give the prefix too"),
        (('nic = "eth1"', 'nick = "eth1"'), "unknown key|nic: missing"),
        (("[[tg]]", "[[client]]"), "tg: missing|unknown key"),
        (("[sut]", "[sut"), "not TOML"),
        (('nic = "eth1"', 'nic = "3b:00.1"'), "sut.nic: give an interface, as eth1, or a PCI"),
        (('nic = "eth1"', 'nic = "a name too long for one"'), "sut.nic: give an interface"),
        (('nic = "eth1"', 'nic = "eth1"\ntake = "vfio"'), "sut.take: .*'dpdk'"),
        (('host = "client"', 'host = "client"\ntake = "dpdk"'), "tg1.take: a generator uses"),
        (('nic = "eth1"', 'nic = "eth1"\nrings = "long"'), "sut.rings: give a number"),
        (('nic = "eth1"', 'nic = "eth1"\nrings = 0'), "sut.rings: give a number"),
        (("[sut]", '[provider]\nname = "cloud"\n\n[sut]'), "provider.name"),
        (("[sut]", '[provider]\nname = "vagrant"\n\n[sut]'), "vagrant chooses the machine"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(change: tuple[str, str], words: str) -> None:
    with pytest.raises(BadInputError, match=words) as caught:
        parse(STATIC.replace(*change, 1), "machines.toml")
    assert str(caught.value).startswith("machines.toml: ")
    assert "\n" not in str(caught.value)


def test_a_nic_may_be_a_pci_address_and_says_how_it_is_taken() -> None:
    text = STATIC.replace('nic = "eth1"', 'nic = "0000:3B:00.1"\ntake = "dpdk"\nrings = 1024', 1)
    spec = parse(text, "x")
    assert (spec.sut.nic, spec.sut.take, spec.sut.rings) == ("0000:3b:00.1", "dpdk", 1024)
    assert (spec.tg[0].nic, spec.tg[0].take, spec.tg[0].rings) == ("eth1", None, "max")


def test_the_static_spec_of_the_document_is_the_one_above() -> None:
    (static,) = [text for text in blocks() if provider(text) == "static"]
    assert shape(parse(static, "x")) == shape(parse(STATIC, "x"))


def shape(spec: BedSpec) -> dict[str, Any]:
    """Return a spec without the names of its hosts."""
    told = spec.model_dump()
    for seat in (told["sut"], *told["tg"]):
        seat["host"] = None
    return told


def test_every_provider_is_in_the_document() -> None:
    assert {provider(text) for text in blocks()} == {"static", "grid5000", "chameleon", "vagrant"}


@pytest.mark.parametrize("text", blocks(), ids=provider)
def test_specs_of_the_document_are_taken_by_enoslib(text: str) -> None:
    """EnOSlib parses each into its own configuration."""
    if (reason := enos.why_not()) is not None:
        pytest.skip(reason)
    spec = parse(text, str(DOCS))
    with enos.start_worker() as worker:
        found = enos.ask(worker, "check", 60, provider=spec.provider.name, config=spec.config())
    roles = {role for machine in found["resources"]["machines"] for role in machine["roles"]}
    kinds = {re.sub(r"\d+$", "", name) for name in spec.seats()}
    assert {re.sub(r"\d+$", "", role) for role in roles} == kinds


def test_what_enoslib_refuses_comes_as_one_line() -> None:
    if (reason := enos.why_not()) is not None:
        pytest.skip(reason)
    with enos.start_worker() as worker, pytest.raises(NearmetalError) as caught:
        enos.ask(worker, "check", 60, provider="vagrant", config={"resources": {"machines": [{}]}})
    assert "\n" not in str(caught.value)
    assert Path(str(enos.python())).exists()


def test_what_the_engine_is_asked_is_written_up() -> None:
    """src/nearmetal/testbed/engine/README.md: every operation of the engine, with its arguments."""
    page = "src/nearmetal/testbed/engine/README.md"
    shown = re.findall(
        r'^\{"op": "(\w+)"(.*?)\} *(?:$|\{)', documents.shown(page, "{"), re.MULTILINE
    )
    tree = ast.parse((source_root() / page).with_name("worker.py").read_text("utf-8"))
    (engine,) = (each for each in ast.walk(tree) if isinstance(each, ast.ClassDef))
    has = {
        each.name: {argument.arg for argument in each.args.args} - {"self"}
        for each in engine.body
        if isinstance(each, ast.FunctionDef) and not each.name.startswith("_")
    }
    assert {name: set(re.findall(r'"(\w+)":', words)) for name, words in shown} == has
