"""How far a run has come, on stderr. On a terminal a bar, elsewhere a line a trial.

Redrawn only when something was told, once a second at most while a trial measures: a display with
a clock of its own would take time from the cores that are measured.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from nearmetal.machine.processes import signals
from nearmetal.samples import Sample
from nearmetal.spec.rungs import Service
from nearmetal.spec.sweep import words


class _Console(Console):
    """One whose reader has gone ends the run as SIGPIPE would: by way of everything undone."""

    def on_broken_pipe(self) -> None:
        if not self.quiet:
            self.quiet = True
            raise signals.Ended(signal.SIGPIPE)


class Shown:
    """The flow tells it what happens; run.Progress is the part that the trials know."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = _Console(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            console=self._console,
            auto_refresh=False,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None)

    def __enter__(self) -> Shown:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._heard():
            self._bar.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        with self._heard():
            self._console.print(text)

    def stage(self, text: str) -> None:
        """What is being done now."""
        with self._heard():
            self._bar.update(self._task, description=text, refresh=True)

    def trial_started(self, rung: str, service: Service, number: int, of: int) -> None:
        """Trial `number` (from 1) of `of` begins."""
        self._bar.update(self._task, total=of, completed=number - 1)
        self.stage(f"{rung} {service}")

    def trial_second(self, rung: str, service: Service, event: Any) -> None:
        """A second of the measured time is over."""
        rate = event["answered"] * 1e9 / max(1, event["duration_ns"])
        self.stage(f"{rung} {service} {rate:,.0f} replies/s")

    def trial_finished(self, sample: Sample) -> None:
        """Its sample is written."""
        row = " ".join(filter(None, (sample.rung, sample.service, words(sample.point))))
        name = f"{row}{f' of {sample.against}' if sample.against else ''}, round {sample.round + 1}"
        if sample.status == "failed" or sample.counts is None:
            self.say(f"{name}: failed: {sample.reason}")
            return
        counts = sample.counts
        rate = counts.answered * 1e9 / max(1, counts.duration_ns)
        not_sent = f", not sent {counts.not_sent}" if counts.not_sent else ""
        losses = f"wrong {counts.wrong}, lost {counts.lost}{not_sent}"
        self.say(f"{name}: {rate:,.0f} replies/s, {losses}")

    @contextmanager
    def _heard(self) -> Iterator[None]:
        """A terminal that has hung up, or a log's disk that is full, ends no run."""
        try:
            yield
        except BrokenPipeError:
            self._console.on_broken_pipe()
        except OSError:
            self._console.quiet = True
