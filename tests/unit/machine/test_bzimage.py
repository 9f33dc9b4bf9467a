"""The release in the file of a kernel."""

from __future__ import annotations

import elf
import pytest

from nearmetal.errors import BadInputError
from nearmetal.machine.vm import bzimage


def test_a_kernel_tells_its_release() -> None:
    assert bzimage.release(elf.bzimage("6.1.0-50-cloud-amd64")) == "6.1.0-50-cloud-amd64"
    with pytest.raises(BadInputError, match="no bzImage"):
        bzimage.release(b"\x7fELF" + bytes(2000))
