"""Kernel threads that work for a wire, found by their names in a made-up /proc."""

from __future__ import annotations

from pathlib import Path

from nearmetal.machine.links.steering import vhost_threads


def task(folder: Path, comm: str) -> None:
    folder.mkdir(parents=True)
    (folder / "comm").write_text(f"{comm}\n")


def test_threads_of_a_qemu_before_and_since_they_are_its_own(tmp_path: Path) -> None:
    for pid, comm in ((70, "qemu-system-x86"), (71, "vhost-70"), (72, "vhost-7"), (80, "vhost-80")):
        task(tmp_path / str(pid), comm)
    task(tmp_path / "80/task/80", "qemu-system-x86")
    task(tmp_path / "80/task/81", "vhost-80")
    (tmp_path / "90").mkdir()  # it ended during the search
    assert vhost_threads(70, tmp_path) == [71]
    assert vhost_threads(80, tmp_path) == [80, 81]
    assert vhost_threads(91, tmp_path) == []
