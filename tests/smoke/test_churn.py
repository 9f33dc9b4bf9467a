"""The store under churn, built and run as docs/measuring.md says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tool
from nearmetal.paths import source_root


@pytest.mark.rung("mem")
@pytest.mark.usefixtures("only_full")
def test_the_document_s_commands(tmp_path: Path) -> None:
    text = (source_root() / "docs" / "measuring.md").read_text(encoding="utf-8")
    found = re.search(r"^    (meson setup .*\n    BUILD/\S+/churn .*)$", text, re.MULTILINE)
    assert found is not None
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # meson and ninja
    person = {name: value for name, value in os.environ.items() if name != "NEARMETAL_TEST_LONG"}
    done = subprocess.run(
        ["sh", "-e", "-c", found[1].replace("BUILD", str(tmp_path / "build"))],
        cwd=source_root(),
        env={**person, "PATH": tools},
        capture_output=True,
        text=True,
        check=False,
        timeout=tool.RUN_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["sets"] == 20_000_000
