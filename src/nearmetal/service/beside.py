"""Executing a user's file: its imports from the folder beside it, and its faults in one line."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FrameType, ModuleType

from nearmetal.errors import BadInputError, in_words


class BesideFinder(MetaPathFinder):
    """Imports modules from the folder of a service's file, as Python does for a script.

    Nothing is written beside them, each file that was executed is hashed, and the modules are
    known to this file only: two services may each have a `names.py`.
    """

    def __init__(self, path: Path) -> None:
        self.shown = path  # as the user wrote it
        self.file = Path(os.path.realpath(path))  # of a loop of links, too: reading it fails
        self.folder = self.file.parent
        self.hashes: dict[Path, str] = {}  # SHA-256 of each file that was executed
        self._modules: dict[str, ModuleType] = {}

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Let imports find what lies beside the file."""
        here = {path.stem for path in self.folder.glob("*") if self._ours(path.stem)}
        others = {name: sys.modules.pop(name) for name in here & sys.modules.keys()}
        sys.modules.update(self._modules)
        sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            sys.meta_path.remove(self)
            for name, module in list(sys.modules.items()):
                if Path(getattr(module, "__file__", None) or "/") in self.hashes:
                    self._modules[name] = sys.modules.pop(name)
            sys.modules.update(others)

    def execute(self) -> ModuleType:
        """Execute the file; raises all that it raises. BadInputError: it cannot be read."""
        try:
            self.file.read_bytes()
        except OSError as error:
            error.filename = str(self.shown)
            raise BadInputError(str(in_words(error))) from None
        name = f"service_{self.file.stem}"
        spec = importlib.util.spec_from_file_location(
            name, self.file, loader=_Source(self, self.file)
        )
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module or package in the folder; see importlib.abc.MetaPathFinder."""
        folder = self.folder if path is None else Path(next(iter(path), "/"))
        last = name.rpartition(".")[2]
        if not folder.is_relative_to(self.folder) or (path is None and not self._ours(last)):
            return None
        for file in (folder / last / "__init__.py", folder / f"{last}.py"):
            if file.is_file():
                return importlib.util.spec_from_file_location(
                    name, file, loader=_Source(self, file)
                )
        return None

    def where(self, error: BaseException) -> str:
        """Say in which of the files, and in which line, an error was raised; empty: in none."""
        place = self.raised_at(error)
        return self.line(*place) if place else ""

    def raised_at(self, error: BaseException) -> tuple[str, int] | None:
        """Return in which of the files, and in which line, an error was raised."""
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if Path(frame.filename) in self.hashes:
                return frame.filename, frame.lineno or 1
        return None

    def inside(self, frame: FrameType | None) -> str:
        """Say which line of the files a frame is in, itself or through its callers."""
        while frame is not None and Path(frame.f_code.co_filename) not in self.hashes:
            frame = frame.f_back
        return self.line(frame.f_code.co_filename, frame.f_lineno) if frame else ""

    def line(self, file: str | None, number: int | None) -> str:
        """Return a file's name and a line, as the user knows them."""
        return f"{self._name(Path(file or self.file))}:{number or 1}: "

    def within(self, file: str) -> str:
        """Return a file's name in the service's folder."""
        path = Path(file)
        if path.is_relative_to(self.folder):
            return str(path.relative_to(self.folder))
        return path.name

    def _name(self, file: Path) -> Path:
        return self.shown if file == self.file else self.shown.parent / self.within(str(file))

    def _ours(self, name: str) -> bool:
        """Whether a name may be that of a file in the folder."""
        return name not in sys.stdlib_module_names and name not in ("nearmetal", "numba", "numpy")


class _Source(InspectLoader):
    """Compiles a file without a cache beside it."""

    def __init__(self, finder: BesideFinder, file: Path) -> None:
        self._finder = finder
        self._file = file

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self._file.read_bytes())

    def is_package(self, fullname: str) -> bool:
        return self._file.name == "__init__.py"

    def exec_module(self, module: ModuleType) -> None:
        content = self._file.read_bytes()
        self._finder.hashes[self._file] = hashlib.sha256(content).hexdigest()
        exec(compile(content, str(self._file), "exec", dont_inherit=True), vars(module))


@contextlib.contextmanager
def one_line(finder: BesideFinder, doing: str) -> Iterator[None]:
    """Turn an error of a user's code into a BadInputError: file, line, what it did, the fault."""
    try:
        yield
    except BadInputError as error:
        raise BadInputError(f"{finder.where(error)}{doing}{error}") from None
    except SyntaxError as error:
        place = finder.line(error.filename, error.lineno)
        raise BadInputError(f"{place}{error.msg}") from None
    except SystemExit:
        raise BadInputError(f"{finder.shown}: {doing}it ends Python; remove sys.exit") from None
    except Exception as error:
        place = finder.where(error)
        fault = in_words(error) if isinstance(error, OSError) and not place else None
        if isinstance(error, RecursionError) and not place:
            fault = "an expression in it is too long; write it in parts"
        text = fault or f"{type(error).__name__}: {error}"
        raise BadInputError(
            f"{place or f'{finder.shown}: '}{doing}{' '.join(text.split())}"
        ) from None
