"""The arguments of `init`: `--service-arg NAME=VALUE`, and files that it reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from nearmetal.errors import BadInputError, in_words, unknown


class Args:
    """Arguments by name. Each is read by the method for its kind; one that is not read is wrong."""

    def __init__(self, values: Mapping[str, str] | None = None, folder: Path = Path()) -> None:
        self._values = dict(values or {})
        self._folder = folder
        self._known: set[str] = set()
        self.hashes: dict[str, str] = {}  # SHA-256 of each file that was read, by its name
        self.files: dict[str, str] = {}  # its name, by the argument that names it

    def text(self, name: str, default: str) -> str:
        """Return an argument as it was given."""
        self._known.add(name)
        return self._values.get(name, default)

    def integer(self, name: str, default: int, *, least: int = 0, most: int = 2**63 - 1) -> int:
        """Return an argument as a number. BadInputError: it is none from least to most."""
        given = self.text(name, str(default))
        try:
            value = int(given, 0)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise BadInputError(
                f"--service-arg {name}={given}: must be a number from {least} to {most}"
            )
        return value

    def file(self, name: str, default: str) -> bytes:
        """Return the content of the file that an argument names, relative to the service's file.

        It belongs to what the program was made from: its hash is recorded.
        """
        given = self.text(name, default)
        try:
            content = (self._folder / given).read_bytes()
        except (OSError, ValueError) as error:
            cause = in_words(error) or error
            raise BadInputError(f"--service-arg {name}={given}: {cause}") from None
        self.hashes[given] = hashlib.sha256(content).hexdigest()
        self.files[name] = given
        return content

    def check_all_read(self) -> None:
        """Raise BadInputError if an argument was given that init does not read."""
        for name in self._values:
            if name not in self._known:
                if not self._known:
                    raise BadInputError(f"--service-arg {name}: this service takes no arguments")
                raise BadInputError(unknown("--service-arg", name, sorted(self._known)))
