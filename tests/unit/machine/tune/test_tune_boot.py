"""The kernel command line for made-up machines, its reasons, and the file to put it in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import trees

from nearmetal.machine.tune import boot

Made = Callable[..., Path]


def line(root: Path) -> str:
    return next(boot.lines(root))


def left_out(root: Path) -> list[str]:
    return [each.why for each in boot.parameters(boot.facts(root)) if not each.words]


def test_two_nodes_with_two_threads(made: Made) -> None:
    root = made(nodes=2, cores=4, threads=2)
    assert line(root) == (
        "isolcpus=managed_irq,domain,4-7 nohz_full=4-7 rcu_nocbs=4-7 irqaffinity=0-3 nosmt"
        " intel_pstate=disable intel_iommu=on iommu=pt"
        " default_hugepagesz=1G hugepagesz=1G hugepages=8"
    )
    assert left_out(root) == []
    said = "\n".join(boot.lines(root))
    assert "server or vCPU on core 4, client on core 5, switch on core 6, VMM on core 7" in said
    assert "Nothing was changed" in said


def test_four_cores_of_amd(made: Made) -> None:
    root = made(cores=4, intel=False, one_gib=False, memory_gib=16)
    assert line(root) == (
        "isolcpus=managed_irq,domain,1-3 nohz_full=1-3 rcu_nocbs=1-3 irqaffinity=0 iommu=pt"
        " hugepagesz=2M hugepages=2048"
    )
    assert any(
        "intel_pstate=disable: the processor is AuthenticAMD" in why for why in left_out(root)
    )


def test_the_line_is_the_same_after_that_boot(made: Made) -> None:
    root = made(cores=8)
    before = line(root)
    trees.put(root, f"{trees.CPU}/isolated", "1-4")
    trees.put(root, "proc/cmdline", f"quiet {before}")
    assert line(root) == before
    said = list(boot.lines(root))
    assert sum("(already set)" in each for each in said) == 7


def test_what_is_there_otherwise_is_shown(made: Made) -> None:
    root = made(cores=8)
    trees.put(root, "proc/cmdline", "quiet isolcpus=7 hugepages=3")
    said = "\n".join(boot.lines(root))
    assert "isolcpus=managed_irq,domain,1-4  (now: isolcpus=7)" in said
    assert "hugepages=8  (now: hugepages=3)" in said


def test_two_cores_spare_none(made: Made) -> None:
    root = made(cores=2, intel=False, virtual=True, memory_gib=3)
    assert line(root) == ""
    said = left_out(root)
    assert "of 2 physical cores none can be spared" in said[0]
    assert any("1 GiB pages: 3072 MiB of memory are too few" in why for why in said)
    assert any("iommu: a virtual machine without an IOMMU" in why for why in said)
    assert len(said) == 5


def test_three_cores_keep_one_for_the_system(made: Made) -> None:
    root = made(cores=3)
    assert line(root).startswith("isolcpus=managed_irq,domain,1-2 nohz_full=1-2 ")
    assert "switch and VMM share core 0" in "\n".join(boot.lines(root))


def test_threads_count_as_cores_only_once(made: Made) -> None:
    assert "isolcpus" not in line(made(cores=2, threads=2))


def where(root: Path) -> str:
    return " ".join(boot.where(root))


def test_where_it_goes(made: Made) -> None:
    root = made()
    assert "No boot loader is visible on this machine" in where(root)
    trees.put(root, "boot/loader/entries/debian.conf", "options quiet")
    assert "systemd-boot" in where(root) and "/boot/loader/entries" in where(root)
    trees.put(root, "etc/default/grub", 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"')
    assert "GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub; then grub2-mkconfig" in where(root)
    trees.put(root, "usr/sbin/update-grub", "")
    assert "in /etc/default/grub; then update-grub" in where(root)


def test_nothing_is_written(made: Made) -> None:
    root = made(threads=2)
    trees.put(root, "etc/default/grub", 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"')
    before = trees.values(root)
    list(boot.lines(root))
    assert trees.values(root) == before
