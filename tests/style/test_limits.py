"""Functions and files stay short; exceptions are recorded and can only shrink."""

from __future__ import annotations

import tomllib

import limits
import tree

EXCEPTIONS = tomllib.loads(tree.read("tests/style/exceptions.toml"))


def measured() -> dict[str, limits.Length]:
    """Return the longest length of every key: two functions of a file may have one name."""
    found: dict[str, limits.Length] = {}
    for name in tree.files(".c", ".h", ".py"):
        for length in limits.lengths(name, tree.read(name)):
            if length.key not in found or found[length.key].lines < length.lines:
                found[length.key] = length
    return found


def test_nothing_is_longer_than_its_limit() -> None:
    too_long = [
        f"{key}: {length.lines} lines (limit {EXCEPTIONS.get(key, {}).get('lines', length.limit)})"
        for key, length in measured().items()
        if length.lines > EXCEPTIONS.get(key, {}).get("lines", length.limit)
    ]
    assert not too_long, "\n".join(
        ["shorten these, or give a reason in exceptions.toml:", *too_long]
    )


def test_the_ratchet_only_tightens() -> None:
    found = measured()
    for key, exception in EXCEPTIONS.items():
        assert exception["reason"].strip(), f"{key}: give a reason"
        assert key in found, f"{key} does not exist; remove the exception"
        length = found[key]
        assert length.lines > length.limit, f"{key}: within the limit now; remove the exception"
        assert length.lines == exception["lines"], f"{key}: is {length.lines} lines; lower it"


def test_the_measure_itself() -> None:
    c = "struct a {\n};\nstatic int one(int x)\n{\n    return x;\n}\nvoid two(void);\n"
    assert list(limits.c_functions(c)) == [("one", 4)]
    python = "def a():\n    x = 1\n    def b():\n        pass\n    return x\n"
    assert sorted(limits.python_functions(python)) == [("a", 5), ("b", 2)]
