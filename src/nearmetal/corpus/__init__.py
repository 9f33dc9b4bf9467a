"""The wire corpus: one list of questions and exact answers that every rung must pass.

`CASES` is the data; `check.quick_corpus` asks it of a running server.
"""

from nearmetal.corpus.case import GUARDED, Case, Guard, Step
from nearmetal.corpus.guard import GUARD
from nearmetal.corpus.odd import DATA, FRAMES, LINES, WORDS
from nearmetal.corpus.valid import NUMBERS, SEVERAL, STORE

CASES: tuple[Case, ...] = (
    *STORE, *NUMBERS, *SEVERAL, *FRAMES, *LINES, *WORDS, *DATA, *GUARD,
)  # fmt: skip

__all__ = ["CASES", "GUARDED", "Case", "Guard", "Step"]
