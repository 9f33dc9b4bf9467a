"""Functions made up at random, in the part of Python that services may use."""

from __future__ import annotations

from random import Random

INTS = (
    *(0, 1, -1, 2, 3, 5, 7, 8, 31, 63, 64, 127, 128, 255, 256, 65535),
    *(1 << 31, 1 << 32, (1 << 63) - 1, -(1 << 63), -(1 << 31)),
)
BINARY = ("+", "-", "*", "&", "|", "^", "//", "%", "<<", ">>")
COMPARED = ("==", "!=", "<", "<=", ">", ">=")
ARRAYS = {"wide": 4, "words": 8, "signs": 5, "octets": 32}
HEAD = """
WORDS = (3, -7, 1 << 40, 0)
TEXT = b"some bytes"


def helper(x, y=3):
    if x > y:
        return x - y, y
    if x == 7:
        raise ValueError(x)
    return y, x


"""


class Maker:
    """Writes the text of functions."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._loops = 0

    def file(self, count: int) -> str:
        """Return `count` functions, and an answer that calls the one that a request names."""
        functions = "".join(self.function(number) for number in range(count))
        calls = "".join(
            f"    {'el' * (number > 0)}if request[0] == {number}:\n"
            f"        n = f{number}(request, reply, state, source, now_ns, a, b)\n"
            for number in range(count)
        )
        return (
            f"{HEAD}{functions}"
            "def answer(request, reply, state, source, now_ns):\n"
            "    a = load64(request, 1)\n    b = load16(request, 9) - 1000\n    n = 0\n"
            f"{calls}"
            "    if n & 7 == 0:\n        return n >> 58\n"
            "    return store64(reply, 16, n)\n"
        )

    def function(self, number: int) -> str:
        self._loops = 0
        body = "".join(self._statement(1, 0) for _ in range(self._random.randint(2, 5)))
        return (
            f"def f{number}(request, reply, state, source, now_ns, a, b):\n"
            f"    x = a\n    y = b\n    z = 0\n    z = {self._expression(2)}\n"
            f"{body}    return {self._expression(2)}\n\n\n"
        )

    def _one(self, *of: str) -> str:
        return self._random.choice(of)

    def _statement(self, depth: int, loops: int) -> str:
        makers = [self._assigned, self._assigned, self._stored, self._stored, self._called]
        if depth < 3:
            makers += [self._if, self._for, self._while]
        if self._random.random() < 0.08:
            makers = [self._fault]
        lines = self._random.choice(makers)(depth, loops)
        return "".join(f"{'    ' * depth}{line}\n" if line[:1] != " " else line for line in lines)

    def _block(self, depth: int, loops: int) -> list[str]:
        return [self._statement(depth + 1, loops) for _ in range(self._random.randint(1, 2))]

    def _assigned(self, depth: int, loops: int) -> list[str]:
        name = self._one("x", "y", "z")
        if self._random.random() < 0.2:
            values = self._one(
                f"helper({self._expression(1)}{self._one('', ', ' + name)})",
                f"{name}, {self._expression(1)}",
                "y, x",
            )
            return [f"x, y = {values}"]
        sign = self._one("", "", *BINARY[:6], "//", ">>")
        value = self._safe(sign, self._expression(2))
        return [f"{name} {sign}= {value}"]

    def _stored(self, depth: int, loops: int) -> list[str]:
        array = self._one(*ARRAYS)
        target = self._one(
            "state.one",
            "state.small",
            f"state.{array}[{self._index(ARRAYS[array])}]",
            f"reply[{self._index(40)}]",
        )
        sign = self._one("", "", "+", "-", "^", "*")
        return [f"{target} {sign}= {self._expression(2)}"]

    def _called(self, depth: int, loops: int) -> list[str]:
        to = self._one("reply", "reply", "state.octets")
        at, begin = self._index(20), self._one("0", "1", "2")
        data = self._one("request", "TEXT", "reply", "source.addr", "state.octets")
        end = self._one(begin, "5", "9", self._index(12))
        return [
            self._one(
                f"z = copy({to}, {at}, {data}, {begin}, {end})",
                f"fill({to}, {begin}, {end}, {self._expression(1)})",
                f"store{self._one('16', '32', '64')}({to}, {at}, {self._expression(1)})",
                f"y = add(state.names, request, {self._index(12)})",
                f"remove(state.names, {self._index(10)})",
            )
        ]

    def _fault(self, depth: int, loops: int) -> list[str]:
        error = self._one("ValueError", "IndexError('text')", "ZeroDivisionError", "KeyError(1)")
        return [
            self._one(
                f"assert {self._condition()}, f'text {{x}}'",
                f"if {self._condition()}:\n{'    ' * (depth + 1)}raise {error}",
                f"x = request[{self._expression(1)}]",
                f"y //= {self._expression(1)}",
                f"z = x {self._one('<<', '>>')} {self._expression(1)}",
                f"if {self._condition()}:\n{'    ' * (depth + 1)}return {self._expression(1)}",
            )
        ]

    def _if(self, depth: int, loops: int) -> list[str]:
        lines = [f"if {self._condition()}:", *self._block(depth, loops)]
        if self._random.random() < 0.5:
            lines += ["else:", *self._block(depth, loops)]
        return lines

    def _for(self, depth: int, loops: int) -> list[str]:
        self._loops += 1
        name = f"i{self._loops}"
        bounds = self._one(
            f"{self._expression(1)} & 7", f"-2, {self._expression(1)} % 5", "9, 0, -2"
        )
        inside = self._block(depth, loops + 1)
        extra = f"{'    ' * (depth + 1)}x += {name}\n"
        if self._random.random() < 0.3:
            word = self._one("break", "continue")
            extra += (
                f"{'    ' * (depth + 1)}if {self._condition()}:\n{'    ' * (depth + 2)}{word}\n"
            )
        last = f"{'    ' * depth}else:\n{'    ' * (depth + 1)}y ^= 5\n"
        return [f"for {name} in range({bounds}):", extra, *inside, self._one("", "", last)]

    def _while(self, depth: int, loops: int) -> list[str]:
        self._loops += 1
        name = f"w{self._loops}"
        inside = self._block(depth, loops + 1)
        return [
            f"{name} = 0",
            f"while {name} < {self._random.randint(0, 6)}:",
            f"{'    ' * (depth + 1)}{name} += 1\n",
            *inside,
        ]

    def _condition(self) -> str:
        compared = f"{self._expression(1)} {self._one(*COMPARED)} {self._expression(1)}"
        return self._one(
            compared,
            compared,
            f"not {compared}",
            f"{compared} {self._one('and', 'or')} {self._expression(1)} > 3",
            f"0 <= {self._expression(1)} < 9",
        )

    def _index(self, count: int) -> str:
        """Return an index that is inside nearly always."""
        inner = self._expression(1)
        return self._one(f"({inner}) % {count}", str(self._random.randrange(count)), "-1")

    def _safe(self, sign: str, value: str) -> str:
        """Return an operand that is a fault only sometimes."""
        if sign in ("//", "%") and self._random.random() < 0.9:
            return f"({value} | 1)"
        if sign in ("<<", ">>") and self._random.random() < 0.9:
            return f"({value} & 63)"
        return value

    def _expression(self, depth: int) -> str:
        if depth == 0 or self._random.random() < 0.2:
            return self._leaf()
        # CPython computes an expression of numbers when it compiles; one that wraps is refused.
        left = self._expression(depth - 1)
        left = left if any(letter.isalpha() for letter in left) else self._one("x", "y", "z")
        right = self._expression(depth - 1)
        kind = self._random.random()
        if kind < 0.55:
            sign = self._one(*BINARY)
            return f"({left} {sign} {self._safe(sign, right)})"
        if kind < 0.65:
            return f"{self._one('-', '~', '+', 'abs')}({left})"
        if kind < 0.75:
            return f"{self._one('min', 'max')}({left}, {right})"
        if kind < 0.85:
            return f"({left} if {self._condition()} else {right})"
        if kind < 0.92:
            return f"({left} {self._one(*COMPARED)} {right})"
        return f"({left} {self._one('and', 'or')} {right})"

    def _leaf(self) -> str:
        if self._random.random() < 0.6:
            return self._one("x", "y", "z", "a", "b", str(self._random.choice(INTS)))
        array = self._one(*ARRAYS)
        return self._one(
            *("len(request)", "len(reply)", "now_ns", "source.port", "state.one", "state.small"),
            f"state.{array}[{self._random.randrange(ARRAYS[array])}]",
            f"request[{self._random.randrange(12)}]",
            f"reply[{self._random.randrange(20)}]",
            f"source.addr[{self._random.randrange(16)}]",
            f"WORDS[{self._random.randrange(4)}]",
            f"TEXT[{self._random.randrange(10)}]",
            f"load{self._one('16', '32', '64')}(request, {self._random.randrange(4)})",
            f"compare(request, 2, TEXT, 0, {self._random.randrange(6)})",
            f"keyed_hash(state.names.seed, request, 0, {self._random.randrange(12)})",
            f"find(state.names, request, {self._random.randrange(8)})",
            *("count(state.names)", "len(TEXT)", "len(state.words)", "True", "False"),
        )
