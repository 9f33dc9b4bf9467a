"""Integers of 64 bits: generated expressions against an evaluation step by step."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path

import pytest
import written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearmetal.errors import BadInputError
from nearmetal.service import Reply, Source, State
from nearmetal.service.integers import LEAST, MOST, wrap
from nearmetal.service.load import Loaded

SOURCE = Source(bytes(16), 1)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 63, 64, LEAST, LEAST + 1, MOST, 2**32, -(2**31)]),
    st.integers(LEAST, MOST),
)
BINARY: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<<": operator.lshift,
    ">>": operator.rshift,
}
UNARY: dict[str, Callable[[int], int]] = {"-": operator.neg, "~": operator.invert, "abs": abs}
Tree = tuple[object, ...]


def trees(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    return st.one_of(
        st.tuples(st.sampled_from(list(BINARY)), inner, inner),
        st.tuples(st.sampled_from(list(UNARY)), inner),
    )


EXPRESSIONS = st.recursive(st.tuples(st.sampled_from(["x", "y", "2", "63"])), trees, max_leaves=12)


def text(tree: Tree) -> str:
    match tree:
        case (str(operation), one, other):
            return f"({text(one)} {operation} {text(other)})"  # type: ignore[arg-type]
        case (str(operation), one):
            return f"{operation}({text(one)})"  # type: ignore[arg-type]
    return str(tree[0])


def value(tree: Tree, names: dict[str, int]) -> int:
    """Evaluate an expression: after each step the low 64 bits, with sign."""
    match tree:
        case (str(operation), one, other):
            left, right = value(one, names), value(other, names)  # type: ignore[arg-type]
            if operation in ("<<", ">>") and not 0 <= right <= 63:
                raise ValueError
            return low(BINARY[operation](left, right))
        case (str(operation), one):
            return low(UNARY[operation](value(one, names)))  # type: ignore[arg-type]
    return names.get(str(tree[0])) if tree[0] in names else int(str(tree[0]))  # type: ignore


def low(number: int) -> int:
    return int.from_bytes((number % 2**64).to_bytes(8, "big"), "big", signed=True)


def outcome(function: Callable[[], int]) -> int | type[Exception]:
    try:
        return function()
    except (ZeroDivisionError, ValueError) as error:
        return type(error)


def run(one: Loaded, x: int, y: int) -> int:
    """Call answer with two numbers in the place of the request."""
    return one.answer((x, y), Reply(8), State(), SOURCE, 0)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("services")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EXPRESSIONS, st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=10))
def test_expressions_wrap_at_each_step(
    folder: Path, tree: Tree, values: list[tuple[int, int]]
) -> None:
    one = written.loaded(
        folder,
        written.answering(
            f"""
            x, y = request[0], request[1]
            z = {text(tree)}
            return z
            """
        ),
    )
    for x, y in values:
        names = {"x": x, "y": y}
        assert outcome(lambda: run(one, x, y)) == outcome(lambda: value(tree, names))  # noqa: B023


@settings(deadline=None)
@given(st.sampled_from(sorted(BINARY)), NUMBERS, NUMBERS)
def test_an_assignment_with_an_operation_wraps(
    folder: Path, operation: str, x: int, y: int
) -> None:
    body = f"x = request[0]\nx {operation}= request[1]\nreturn x"
    one = written.loaded(folder, written.answering(body))
    tree = (operation, ("x",), ("y",))
    assert outcome(lambda: run(one, x, y)) == outcome(lambda: value(tree, {"x": x, "y": y}))


def test_functions_that_answer_calls_wrap_also_in_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "mixing.py").write_text(
        "WIDE = 1 << 80\ndef mix(a, b):\n    return a * 3 + b\ndef huge():\n    return WIDE\n"
    )
    head = "import mixing\nfrom mixing import mix as other\n" + written.HEAD
    body = "return mixing.mix(request[0], other(request[1], 1)) + own(request[0])"
    own = "def own(a):\n    return a + a\n"
    one = written.loaded(tmp_path, own + written.answering(body), head=head)
    assert run(one, MOST, MOST) == low(MOST * 3 + low(MOST * 3 + 1) + 2 * MOST)
    assert [each.__name__ for each in one.compiled] == ["answer", "mix", "own"]
    assert set(one.hashes) == {"mine.py", "mixing.py"}
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_function_that_answer_does_not_call_keeps_pythons_integers(tmp_path: Path) -> None:
    one = written.loaded(
        tmp_path,
        written.answering("return 0")
        + "def requests():\n    return [(1 << 70).to_bytes(9, 'big')]",
    )
    assert one.call("requests") == ((1 << 70).to_bytes(9, "big"),)


@pytest.mark.parametrize(
    ("before", "body", "line"),
    [
        ("", "return request[0] & 0xFFFFFFFFFFFFFFFF", 4),
        ("MASK = 2**64 - 1\n", "return request[0] & MASK", 4),
        ("", "return -9223372036854775809", 4),
    ],
)
def test_a_number_that_does_not_fit_is_refused(
    tmp_path: Path, before: str, body: str, line: int
) -> None:
    with pytest.raises(BadInputError, match=rf"^mine.py:{line}: .* does not fit in 64 bits"):
        written.loaded(tmp_path, before + written.answering(body))


def test_the_least_number_may_be_written(tmp_path: Path) -> None:
    body = "return -9223372036854775808 if request[0] else 9223372036854775807"
    one = written.loaded(tmp_path, written.answering(body))
    assert (run(one, 1, 0), run(one, 0, 0)) == (LEAST, MOST)


def test_wrap_leaves_other_values() -> None:
    assert wrap(b"abc") == b"abc" and wrap(True) is True and wrap(None) is None
