"""Code that cannot be compiled is refused in one line: file, line, and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("numba")

from compiled import HEAD

from nearmetal.errors import BadInputError
from nearmetal.service.compile.entries import build
from nearmetal.service.load import load

ANSWER = "def answer(request, reply, state, source, now_ns):\n"
# The lines of answer; the last line that is marked by <- is the one to be named.
REFUSED = {
    "list": ("x = [1, 2] # <-", "a list is not supported"),
    "comprehension": ("return len([i for i in range(3)]) # <-", "write a loop"),
    "dict": ("x = {} # <-", "use a table of the state"),
    "text": ("x = 'text' # <-\nreturn len(x)", "write b'...'"),
    "f-string": ("x = f'{now_ns}' # <-", "text is not supported"),
    "division": ("return now_ns / 2 # <-", "write //"),
    "power": ("return now_ns ** 2 # <-", "write << or multiply"),
    "float": ("return int(now_ns * 0.5) # <-", "0.5 is a float; use integers"),
    "slice": ("reply[0:2] = request[0:2] # <-", "use copy"),
    "try": ("try: # <-\n    x = request[9]\nexcept IndexError:\n    x = 0", "try is not supported"),
    "in": ("return 1 in request # <-", "find in a table"),
    "bytes compared": ("return request == b'GET' # <-", "compare"),
    "loop over bytes": ("for x in request: # <-\n    pass\nreturn 0", "range(len(x))"),
    "print": ("print(now_ns) # <-", "print() is not supported; count in a field"),
    "open": ("open(1) # <-", "open() is not supported"),
    "method": ("return request.find(b'x') # <-", "find"),
    "unknown field": ("state.none = 1 # <-", "state has no field none"),
    "unknown field read": ("x = 1\nreturn state.none # <-", "state has no field none"),
    "request written": ("request[0] = 1 # <-", "bytes cannot be written here"),
    "array assigned": ("state.wide = 1 # <-", "state.wide is an array"),
    "message": ("assert now_ns, request[0] # <-\nreturn 0", "made of names only"),
    "raise": ("raise # <-", "takes the class"),
    "no value": ("if now_ns > 5:\n    x = 1\nreturn x # <-", "x may have no value here"),
    "no result": ("if now_ns > 5:\n    return 1 # <-", "return an int on every way"),
    "two types": ("x = 1\nif now_ns > 5:\n    x = request\nreturn x # <-", "x is of one type"),
    "wrong arguments": ("return copy(reply, 0, request) # <-", "copy: missing"),
    "wrong kind": ("return copy(request, 0, reply, 0, 1) # <-", "only the reply and the state's"),
    "recursion": ("return again(now_ns)", "again -> again: a function may not call itself"),
    "import": ("import os # <-\nreturn 0", "import stands at the file's top"),
    "name": ("return nothing # <-", "nothing"),
    "list outside": ("return NUMBERS[0] # <-", "NUMBERS is of type list"),
    "float outside": ("return int(HALF) # <-", "HALF: floats are not supported"),
    "numbers": ("return now_ns + (1 << 62) * 4 # <-", "write the result itself"),
    "shift": ("return 1 << 64 # <-", "write the result itself"),
    "step": ("for i in range(0, 9, now_ns): # <-\n    pass\nreturn 0", "the step of range"),
    "field of source": ("return source.host # <-", "source has no field host"),
}
BESIDE = """
NUMBERS = [1, 2]
HALF = 0.5


def again(x):
    return again(x - 1)


"""


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_it_is_one_line_with_the_place(tmp_path: Path, case: str) -> None:
    body, told = REFUSED[case]
    path = tmp_path / "made.py"
    text = HEAD + BESIDE + ANSWER + "".join(f"    {line}\n" for line in body.split("\n"))
    path.write_text(text)
    marked = [number for number, line in enumerate(text.splitlines(), 1) if "# <-" in line]
    with pytest.raises(BadInputError) as caught:
        build(load(path))
    message = str(caught.value)
    assert "\n" not in message and told in message
    line = marked[0] if marked else text[: text.index("def again")].count("\n") + 1
    assert message.startswith(f"{path}:{line}: "), (message, line)


def test_prepare_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "made.py"
    path.write_text(
        HEAD + ANSWER + "    return 0\n\n\ndef prepare(request, state):\n    state.one = 1\n"
    )
    with pytest.raises(BadInputError, match=r"state\.one is only read here"):
        build(load(path))
