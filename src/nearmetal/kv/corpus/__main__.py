"""The quick corpus as a command; exit code 0: passed, 1: failed, 2: bad input."""

from __future__ import annotations

import argparse
import sys

from nearmetal.kv.corpus import CORPORA, MEMCACHED, quick_corpus


def main(arguments: list[str]) -> int:
    """Run the corpus and print one line."""
    parser = argparse.ArgumentParser(
        prog="python -m nearmetal.kv.corpus",
        description="Run the quick corpus against a server.",
    )
    parser.add_argument("target", metavar="ADDR:PORT")
    parser.add_argument("--corpus", choices=CORPORA, default=MEMCACHED)
    given = parser.parse_args(arguments)
    host, _, port = given.target.rpartition(":")
    if not host or not port.isdigit():
        parser.error(f"{given.target}: not an address; give ADDR:PORT or [V6]:PORT")
    wrong = quick_corpus(given.corpus, host.strip("[]"), int(port))
    print("passed" if wrong is None else wrong, file=sys.stderr if wrong else sys.stdout)
    return 0 if wrong is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
