"""Programs of users' services: compiled and built as tests need them, and asked over sockets."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nearmetal.build import meson
from nearmetal.service.load import Loaded, load


@dataclass(frozen=True)
class Built:
    """A build folder with the services, and where its programs are."""

    folder: Path
    targets: dict[str, Path]
    services: dict[str, Loaded]

    def program(self, name: str) -> Path:
        target = self.targets[name]
        path = target.relative_to(self.folder) if target.is_absolute() else target
        meson.ninja(self.folder, [str(path)])
        return self.folder / path


def configured(folder: Path, files: Sequence[Path]) -> Built:
    """Compile the files of services, and configure a build of their programs."""
    from nearmetal.service.compile import folder as sources
    from nearmetal.service.compile.entries import build

    services = [load(path) for path in files]
    sources.write(folder / "sources", [(one, build(one)) for one in services])
    meson.configure(folder / "build", "normal", services=folder / "sources")
    return Built(
        folder / "build",
        meson.targets(folder / "build"),
        {one.service.name: one for one in services},
    )


@contextmanager
def asked(port: int, timeout_s: float = 10) -> Iterator[Callable[[Sequence[bytes]], bytes]]:
    """Return how to send requests, of which only the last one has a reply, and to receive it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout_s)
        client.connect(("127.0.0.1", port))

        def exchange(requests: Sequence[bytes]) -> bytes:
            for request in requests:
                client.send(request)
            return client.recv(2_000)

        yield exchange
