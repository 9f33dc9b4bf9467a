"""Progress of a run, on stderr: a bar on a terminal, elsewhere one line per trial.

The bar is redrawn only at an event, while a trial measures at most once a second: a display that
refreshes by a timer of its own would take time from the cores that are measured.
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
    """A console whose closed pipe ends the run as SIGPIPE would, after everything was undone."""

    def on_broken_pipe(self) -> None:
        if not self.quiet:
            self.quiet = True
            raise signals.Ended(signal.SIGPIPE)


class Shown:
    """Display of a run; its trial_* methods implement rounds.Progress."""

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
        """Print a line above the bar."""
        with self._heard():
            self._console.print(text)

    def stage(self, text: str) -> None:
        """Show as the bar's description what is done now."""
        with self._heard():
            self._bar.update(self._task, description=text, refresh=True)

    def trial_started(self, rung: str, service: Service, number: int, of: int) -> None:
        """Show that trial `number` (from 1) of `of` begins."""
        self._bar.update(self._task, total=of, completed=number - 1)
        self.stage(f"{rung} {service}")

    def trial_second(self, rung: str, service: Service, event: Any) -> None:
        """Show the rate of the last second of the measured time."""
        rate = event["answered"] * 1e9 / max(1, event["duration_ns"])
        self.stage(f"{rung} {service} {rate:,.0f} replies/s")

    def trial_finished(self, sample: Sample) -> None:
        """Print the line of a trial whose sample is written."""
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
        """Go on without a display after a write error: a terminal hung up, or a log's disk is full.

        A closed pipe ends the run.
        """
        try:
            yield
        except BrokenPipeError:
            self._console.on_broken_pipe()
        except OSError:
            self._console.quiet = True
