"""Services that are wrong in any way: each is one clear line, with file, line and what to do."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from nearmetal.errors import NearmetalError
from nearmetal.service.compile import cache
from nearmetal.service.load import load
from nearmetal.service.tried import tried

HEAD = "from nearmetal.service import *\n"
DECLARED = 'service = Service("mine", port=7000, drops=("first",), id=Id(at=0, reply_at=0),'
DECLARED += " request_bytes_min=2)\n"
ANSWER = "def answer(request, reply, state, source, now_ns):\n"
GOOD = ANSWER + "    return copy(reply, 0, request, 0, 2)\n"
ASKS = "def requests():\n    return [bytes(2)]\n"


def answering(*lines: str) -> str:
    return HEAD + DECLARED + ANSWER + "".join(f"    {line}\n" for line in lines)


def declaring(text: str) -> str:
    return HEAD + text + "\n" + GOOD


def beside(text: str, *lines: str) -> str:
    """Return a file with other things before its answer."""
    return HEAD + DECLARED + text + "\n" + ANSWER + "".join(f"    {line}\n" for line in lines)


def asking(*lines: str) -> str:
    """Return a file whose function requests has these lines."""
    return HEAD + DECLARED + GOOD + "def requests():\n" + "".join(f"    {x}\n" for x in lines)


# Text of the file, the line that must be named (0: the file alone), and what must be said.
LOADED = {
    "empty": ("", 0, "declares no service; write service = Service("),
    "syntax error": (answering("return ("), 4, "'(' was never closed"),
    "indentation": (HEAD + "  x = 1\n", 2, "unexpected indent"),
    "exception": (HEAD + "x = {}['y']\n", 2, "KeyError: 'y'"),
    "too deep": (HEAD + DECLARED + "x = " + "-" * 5000 + "1\n", 0, "too "),
    "calls itself": (HEAD + "def f():\n    f()\nf()\n", 3, "RecursionError"),
    "no port": (declaring('service = Service("mine")'), 2, "'port'"),
    "unknown argument": (declaring('service = Service("mine", port=1, ports=2)'), 2, "'ports'"),
    "name": (declaring('service = Service("My-service", port=1)'), 2, "a name has 1 to 12"),
    "two services": (HEAD + DECLARED + DECLARED + GOOD, 3, "service is there already, in line 2"),
    "two answers": (HEAD + DECLARED + GOOD + GOOD, 5, "answer is there already, in line 3"),
    "wrong counter": (
        declaring('service = Service("mine", port=1, counters=("none",))'),
        2,
        "counters and gauges name single fields",
    ),
    "id outside": (
        declaring('service = Service("mine", port=1, id=Id(at=8, reply_at=0))'),
        2,
        "id: at=8 is outside: its 2 bytes must lie within request_bytes_min=1",
    ),
    "id outside of the reply": (
        declaring('service = Service("mine", port=1, id=Id(0, 1399), request_bytes_min=2)'),
        2,
        "id: reply_at=1399 is outside",
    ),
    "state too large": (
        declaring("class S(State):\n    a = array(i64, 1 << 26)\nservice = Service('a', port=1)"),
        2,
        "a state of 536,870,912 bytes is too large; at most 256 MiB",
    ),
    "wrong field": (
        declaring("class S(State):\n    a = {}\nservice = Service('a', port=1, state=S)"),
        2,
        "a is no field; declare it as i64()",
    ),
    "field without a place": (
        declaring("class S(State):\n    a: int\nservice = Service('a', port=1, state=S)"),
        2,
        "a has a type but no place",
    ),
    "init fails": (
        HEAD + DECLARED + GOOD + "def init(state, args):\n    return open('/nothing')\n",
        6,
        "init: FileNotFoundError",
    ),
    "init writes no field": (
        HEAD + DECLARED + GOOD + "def init(state, args):\n    state.total = 1\n",
        6,
        "init: AttributeError: state.total: no field to assign to",
    ),
    "init writes text": (
        HEAD
        + "class S(State):\n    n = i64()\nservice = Service('a', port=1, state=S)\n"
        + GOOD
        + "def init(state, args):\n    state.n = 'x'\n",
        8,
        "init: TypeError",
    ),
    "yields": (answering("yield 1"), 3, "answer is async, or it yields; write def answer("),
    "async": (HEAD + DECLARED + "async " + GOOD, 3, "answer is async, or it yields"),
    "star parameters": (
        HEAD + DECLARED + "def answer(*args):\n    return 0\n",
        3,
        "answer has other parameters; write def answer(request,",
    ),
    "decorated": (
        HEAD + DECLARED + "def same(f):\n    return f\n@same\n" + GOOD,
        5,
        "without decorators",
    ),
    "a class": (HEAD + DECLARED + "class answer:\n    pass\n", 0, "answer is not a function"),
    "lambda": (
        HEAD + DECLARED + "answer = lambda request, reply, state, source, now_ns: 0\n",
        3,
        "must be written as a plain def",
    ),
    "made at run time": (
        HEAD + DECLARED + f"exec({GOOD!r})\n",
        0,
        "answer is no function of this file",
    ),
    "made inside": (
        HEAD
        + DECLARED
        + "def made(n):\n    def answer(request, reply, state, source, now_ns):\n"
        + "        return n\n    return answer\nanswer = made(1)\n",
        4,
        "answer is made in another function; write it at the file's top",
    ),
    "a large number": (
        answering("return now_ns & 0xFFFFFFFFFFFFFFFF"),
        4,
        "does not fit in 64 bit",
    ),
    "a large name": (beside("BIG = 1 << 70", "return BIG"), 4, "BIG = 1180591620717411303424 does"),
}
TRIED = {
    "requests raise": (asking("raise ValueError('no')"), 6, "requests: ValueError: no"),
    "requests fail later": (asking("yield bytes(2)", "yield 1 // 0"), 7, "ZeroDivisionError"),
    "requests give nothing": (asking("pass"), 0, "requests gives None; return a list, or yield"),
    "requests give a number": (asking("return 5"), 0, "requests gives a value of type int"),
    "requests give text": (asking("return ['ab']"), 0, "request 0: 'ab' is neither bytes nor Ask"),
    "requests give one": (asking("return b'ab'"), 0, "request 0: 97 is neither bytes nor Ask"),
    "requests do not end": (
        asking("while True:", "    yield bytes(2)"),
        0,
        "requests gives more than 1,000 requests; give fewer",
    ),
    "a request too long": (asking("return [bytes(1500)]"), 0, "at most 1,472 fit in a frame"),
    "unchecked": (asking("return [Ask(bytes(2), unchecked=(1, 2))]"), 0, "must have pairs"),
    "unchecked outside": (
        asking("return [Ask(bytes(2), unchecked=((1, 9),))]"),
        0,
        "unchecked (1, 9) is outside of its reply of 2 bytes",
    ),
    "a reply of text": (asking("return [Ask(bytes(2), reply='ab')]"), 0, "reply must be bytes"),
    "another reply": (asking("return [Ask(bytes(2), reply=b'ab')]"), 0, "not b'ab'"),
    "reply longer than its room": (
        answering("return 1401") + ASKS,
        0,
        "gets no reply (bad_return: answer returned 1401; it must be 0 to 6 bytes",
    ),
    "returns a float": (answering("return 2.0") + ASKS, 0, "answer returned 2.0; it must be"),
    "returns None": (answering("pass") + ASKS, 0, "answer returned None; it must be 0 to 6 bytes"),
    "writes outside": (
        answering("reply[6] = 1", "return 2") + ASKS,
        0,
        "gets no reply (index_error: IndexError: bytearray index out of range at {}:4)",
    ),
    "copies outside": (
        answering("return copy(reply, 5, request, 0, 2)") + ASKS,
        0,
        "index_error: IndexError: bytes 5 to 7 of 6 at {}:4",
    ),
    "raises": (answering("raise KeyError(7)") + ASKS, 0, "raised: KeyError: 7 at {}:4"),
    "asserts": (answering("assert not request, 'no'") + ASKS, 0, "AssertionError: no at {}:4"),
    "a shift": (answering("return now_ns << (0 - 2)") + ASKS, 0, "a shift by -2 bits"),
    "no id in the reply": (
        answering("reply[0] = 1", "return 2") + ASKS,
        0,
        "its reply does not have the request's id at reply_at=0",
    ),
}
COMPILED = {
    "float returned": (answering("return 2.0"), 4, "2.0 is a float; use integers"),
    "None returned": (answering("pass"), 3, "answer must return an int on every way"),
    "None at times": (answering("if now_ns > 5:", "    return 1"), 5, "return an int on every way"),
    "recursion": (beside("def f(n):\n    return f(n)\n", "return f(1)"), 3, "may not call itself"),
    "recursion of two": (
        beside("def f(n):\n    return g(n)\ndef g(n):\n    return f(n)\n", "return f(1)"),
        3,
        "f -> g -> f: a function may not call itself",
    ),
    "list": (answering("x = [1]", "return x[0]"), 4, "a list is not supported"),
    "dict": (answering("return len({})"), 4, "a dict is not supported; use a table of the state"),
    "text": (answering("x = 'a'", "return len(x)"), 4, "text is not supported"),
    "bytes made": (answering("return len(bytes(5))"), 4, "bytes() is not supported; use copy"),
    "f-string": (answering("x = f'{now_ns}'", "return 0"), 4, "text is not supported"),
    "try": (answering("try:", "    return 1", "except ValueError:", "    return 2"), 4, "try is"),
    "with": (answering("with source:", "    return 1"), 4, "with is not supported"),
    "match": (
        answering("match now_ns:", "    case 1:", "        return 1", "return 0"),
        4,
        "match",
    ),
    "import": (answering("import os", "return os.getpid()"), 4, "import stands at the file's top"),
    "os": (
        beside("import os", "return os.getpid()"),
        5,
        "getpid is of type builtin_function_or_me",
    ),
    "random": (beside("import random", "return random.randint(1, 2)"), 5, "randint"),
    "other function": (
        beside("from textwrap import dedent", "return dedent(now_ns)"),
        5,
        "dedent is a function of textwrap; only those of the file",
    ),
    "numpy": (beside("import math", "return math.floor(now_ns)"), 5, "floor is of type"),
    "generator": (answering("return sum(i for i in range(3))"), 4, "a generator is not supported"),
    "yield in a helper": (beside("def f():\n    yield 1\n", "return f()"), 4, "yield is not"),
    "lambda": (answering("f = lambda x: x", "return f(1)"), 4, "lambda is not supported"),
    "def inside": (answering("def f():", "    return 1", "return f()"), 4, "a function inside a"),
    "class inside": (answering("class C:", "    pass", "return 0"), 4, "a class inside a function"),
    "global": (beside("N = 1", "global N", "N = 2", "return N"), 5, "global is not supported"),
    "list outside": (beside("N = [1]", "return N[0]"), 5, "N is of type list"),
    "dict outside": (beside("N = {1: 2}", "return N[1]"), 5, "N is of type dict"),
    "bytearray outside": (beside("N = bytearray(2)", "return N[1]"), 5, "N is of type bytearray"),
    "text outside": (beside("N = 'ab'", "return len(N)"), 5, "N is of type str"),
    "float outside": (beside("N = 0.5", "return N"), 5, "N: floats are not supported"),
    "class outside": (beside("class C:\n    pass\n", "return C()"), 7, "C is of type type"),
    "del": (answering("x = 1", "del x", "return 0"), 5, "del is not supported"),
    "negative shift": (answering("return 1 << -1"), 4, "write the result itself"),
    "walrus": (answering("return (x := [1])"), 4, "a list is not supported"),
    "star call": (answering("return copy(*(reply, 0, request, 0, 2))"), 4, "* is not supported"),
    "named call": (answering("return copy(**{})"), 4, "a dict is not supported"),
    "star in a helper": (beside("def f(*a):\n    return 1\n", "return f(1)"), 3, "* among"),
    "named only": (beside("def f(*, a=1):\n    return a\n", "return f(a=1)"), 3, "* among"),
    "decorated helper": (
        beside("import functools\n@functools.cache\ndef f():\n    return 1\n", "return f()"),
        9,
        "f is of type _lru_cache_wrapper",
    ),
    "too few arguments": (beside("def f(a):\n    return a\n", "return f()"), 7, "f: missing a"),
    "too many": (beside("def f(a):\n    return a\n", "return f(1, 2)"), 7, "f: too many"),
    "unknown named": (beside("def f(a):\n    return a\n", "return f(a=1, b=2)"), 7, "f: got an"),
    "method": (answering("return request.find(b'a')"), 4, "find"),
    "attribute": (answering("return request.size"), 4, "size"),
    "wrong field": (answering("state.none += 1", "return 0"), 4, "state has no field none"),
    "table as a number": (
        HEAD
        + "class S(State):\n    t = table(4, key_bytes=2)\n"
        + "service = Service('a', port=1, state=S)\n"
        + ANSWER
        + "    return state.t[0]\n",
        6,
        "has no items",
    ),
    "compares bytes": (
        answering("return request == b'ab'"),
        4,
        "for bytes write compare(...) == 0",
    ),
    "index is bytes": (answering("return request[b'a']"), 4, "an index is an int"),
    "a deep expression": (answering("return " + "1 + now_ns + " * 3000 + "1"), 0, "too "),
}


def refused(path: Path, text: str, line: int) -> str:
    path.write_text(text)
    with pytest.raises(NearmetalError) as caught:
        one = load(path)
        if text not in {each[0] for each in COMPILED.values()}:
            tried(one)
        cache.compiled(one, path.parent / "kept")
    said = str(caught.value)
    assert "\n" not in said and "Traceback" not in said and "fault of nearmetal" not in said
    name = f"{path}:{line}: " if line else f"{path}: "
    assert said.startswith((name, name.replace(str(path), path.name))), said
    assert caught.value.__cause__ is None
    return said


@pytest.mark.parametrize("case", LOADED, ids=str)
def test_loading_it_is_refused(tmp_path: Path, case: str) -> None:
    text, line, said = LOADED[case]
    assert said in refused(tmp_path / "mine.py", text, line)


@pytest.mark.parametrize("case", TRIED, ids=str)
def test_trying_it_is_refused(tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearmetal.service.load.REQUESTS_MAX", 1_000)
    text, line, said = TRIED[case]
    path = tmp_path / "mine.py"
    assert said.format(path) in refused(path, text, line)


@pytest.mark.parametrize("case", COMPILED, ids=str)
def test_compiling_it_is_refused(tmp_path: Path, case: str) -> None:
    pytest.importorskip("numba")
    text, line, said = COMPILED[case]
    assert said in refused(tmp_path / "mine.py", text, line)


def test_a_missing_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    path = tmp_path / "mine.py"
    path.write_text(HEAD + DECLARED + GOOD)
    with pytest.raises(NearmetalError, match=r"numba is missing: let \./nearmetal install it"):
        cache.compiled(load(path), tmp_path)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop.py").symlink_to("loop.py")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "binary.py").write_bytes(b"\x7fELF\2\1\1\0\0\xff")
    for name in ("none.py", "loop.py", "folder.py", "folder.py/x.py", "binary.py"):
        with pytest.raises(NearmetalError) as caught:
            load(tmp_path / name)
        said = str(caught.value)
        assert said.startswith(f"{tmp_path / name}:") and "\n" not in said
