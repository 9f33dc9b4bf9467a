"""The command line for a guest's kernel and first process."""

from __future__ import annotations

import pytest

from nearmetal.dut.guest_cmdline import Guest, command_line
from nearmetal.errors import BadInputError

WORDS = ("--listen", "10.0.0.1:11211")


def test_sockets_get_an_address() -> None:
    line = command_line(Guest(WORDS, 0, address="10.0.0.1/24"))
    assert line.endswith(' nm.address=10.0.0.1/24 nm.server="--listen 10.0.0.1:11211"')
    assert "console=ttyS0,115200" in line.split() and "hugepages" not in line


def test_dpdk_gets_pages_and_a_driver() -> None:
    words = command_line(Guest(WORDS, 0, driver="uio_pci_generic", hugepages=40)).split()
    assert "hugepages=40" in words and "nm.driver=uio_pci_generic" in words
    assert "intel_iommu=on" not in words


def test_vfio_wants_an_iommu() -> None:
    assert "intel_iommu=on" in command_line(Guest(WORDS, 0, driver="vfio-pci")).split()


@pytest.mark.parametrize("word", ["", "a b", 'a"b', "a\nb", "\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_what_cannot_be_said(word: str) -> None:
    with pytest.raises(BadInputError, match="cannot be part of"):
        command_line(Guest((*WORDS, word), 0))


def test_too_long() -> None:
    command_line(Guest(["x" * 1700], 0))
    with pytest.raises(BadInputError, match="2047 bytes"):
        command_line(Guest(["x" * 2047], 0))
