"""The command line: thin, each command calls one module. `nearmetal COMMAND --help` tells more.

Exit codes: 0 done (rows that cannot run here are skipped with a reason), 1 failed or wrong answers,
2 bad input, 130 interrupted (what was measured until then is kept). Heavy modules are imported by
the command that needs them, so that `list` is quick and `serve` needs no plotting.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from nearmetal.commands import load_options
from nearmetal.commands.bench_options import Against, Out, Rounds, Rungs, Spec, Taken, Yes

if TYPE_CHECKING:
    from nearmetal.report import Report

app = typer.Typer(
    name="nearmetal",
    help="How close to the metal does your network service need to be? Measure it.",
    epilog="Start with: ./nearmetal bench     Prove it right: ./nearmetal test",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _show(result: Report, folder: Path) -> None:
    """The table, and where the page is."""
    from nearmetal.report import COLUMNS, pairs, ratios, table

    # A file or pipe has no width of its own; the usual 80 would cut the table.
    console = Console(width=None if Console().is_terminal else COLUMNS)
    console.print(table(result))
    for beside in filter(None, (ratios(result), pairs(result))):
        console.print(beside)
    print(folder / "report.html")


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "nearmetal bench\n\n"
    "nearmetal bench --rungs memcached,host-mmsg --out /tmp/mine --yes\n\n"
    "nearmetal bench --spec specs/smoke.toml\n\n"
    "nearmetal bench --spec against --against HEAD~1"
)
def bench(
    spec: Spec = "quick",
    rungs: Rungs = None,
    rounds: Rounds = None,
    against: Against = None,
    out: Out = None,
    yes: Yes = False,
) -> None:
    """Measure every rung that can run here, check every answer, and write a report.

    Runs the whole flow: spec, build, topology, run, samples, report. Each stage leaves a file in
    the run's folder; `report DIR` makes the report again from them. As root the traffic goes over
    a veth pair between two network namespaces of our own; without root over lo, said in the table.
    """
    from nearmetal import bench as flow
    from nearmetal.build.against import found
    from nearmetal.spec.experiment import load, with_rounds
    from nearmetal.trial.progress import Shown

    path = flow.spec_path(spec)
    chosen = with_rounds(load(path, rungs), rounds)
    flow.check_one_machine(path, chosen)
    other = None if against is None else found(against)
    folder = flow.new_folder(out, chosen.name)
    seconds, disk_bytes = flow.estimate(chosen, paired=other is not None)
    flow.check_disk(folder, disk_bytes)
    print(
        f"{path}: {len(chosen.rungs)} rungs, about {max(1, round(seconds / 60))} min"
        f" and {max(1, disk_bytes >> 20)} MiB in {folder}",
        file=sys.stderr,
    )
    if not yes and sys.stdin.isatty() and not typer.confirm("Start?", default=True, err=True):
        folder.rmdir()
        raise typer.Exit(0)
    with Shown() as shown:
        result, code = flow.bench(chosen, folder, shown, other)
    _show(result, folder)
    raise typer.Exit(code)


@app.command(epilog="[bold]Example[/]  nearmetal report runs/20260101T120000Z-quick")
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    pdf: Annotated[bool, typer.Option("--pdf", help="Write the figures as PDF too.")] = False,
) -> None:
    """Make the report of a run again, from the files in its folder."""
    from nearmetal.report import write

    _show(write(folder, pdf=pdf), folder)


@app.command()
def build(yes: Yes = False) -> None:
    """Build the native programs, and say which are missing here and why."""
    del yes  # the launcher's
    from nearmetal.build.programs import build as build_all

    with Console(stderr=True).status("configuring") as status:
        built = build_all(progress=status.update)
    for name, program in built.programs.items():
        print(f"{name:16} {program.image_bytes:>10} bytes with libraries  {program.path}")
    for name, reason in built.missing.items():
        print(f"{name:16} missing: {reason}")


@app.command("list")
def list_() -> None:
    """The rungs, and whether each can run here."""
    from nearmetal.commands.doctor import rung_table

    Console().print(rung_table())


@app.command()
def doctor() -> None:
    """What this machine is, what is missing on it, and which rows that costs."""
    from nearmetal.commands.doctor import examine

    Console().print(examine())


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "nearmetal serve host-mmsg\n\n"
    "nearmetal serve host-mmsg --listen 10.0.0.1:11211 --allow 10.0.0.0/24 --metrics"
    " 127.0.0.1:9100\n\n"
    "nearmetal serve host-dpdk\n\n"
    "nearmetal serve uk-netdev\n\n"
    "nearmetal serve host-dpdk --nic 0000:03:00.0 --listen 10.0.0.1:11211 --allow 10.0.0.0/24"
)
def serve(
    rung: Annotated[str, typer.Argument(help="One of our rungs, as `list` prints them.")],
    listen: Annotated[
        str | None,
        typer.Option(
            help="ADDR:PORT; IPv6 as \\[ADDR]:PORT.",
            show_default="127.0.0.1:11211; host-dpdk without --nic, uk*: of what is made for it",
        ),
    ] = None,
    memory: Annotated[str, typer.Option(help="The store's memory; KiB, MiB, GiB.")] = "64MiB",
    allow: Annotated[
        list[str] | None, typer.Option(help="CIDR that may ask; several times. Default: loopback.")
    ] = None,
    admin: Annotated[
        list[str] | None, typer.Option(help="CIDR that may send stats, flush_all, verbosity.")
    ] = None,
    trusted: Annotated[
        list[str] | None, typer.Option(help="CIDR whose replies may exceed 3 x the request.")
    ] = None,
    metrics: Annotated[str | None, typer.Option(help="ADDR:PORT for Prometheus.")] = None,
    nic: Annotated[
        str | None,
        typer.Option(
            metavar="IFACE|PCI",
            help="host-dpdk: the port it takes; a link, by af_packet, or a PCI device. Without it"
            " a veth pair is made.",
        ),
    ] = None,
    poll: Annotated[bool, typer.Option("--poll", help="Never sleep, whatever that costs.")] = False,
) -> None:
    """Serve one rung for real use, on one core: memcached's ASCII protocol over UDP.

    SIGTERM or Ctrl-C drains what is queued and prints the final counts. Most memcached clients
    speak TCP only; see the README for what speaks UDP.
    """
    from nearmetal.commands.serve import Options
    from nearmetal.commands.serve import serve as run

    rights = (allow or [], admin or [], trusted or [])
    raise typer.Exit(run(rung, Options(listen, memory, *rights, metrics, nic, poll)))


@app.command(epilog="[bold]Example[/]  nearmetal switch --socket /run/nm.sock")
def switch(
    nic: Annotated[
        str | None,
        typer.Option(
            metavar="IFACE|PCI", help="The port to the generator. Without it a veth pair is made."
        ),
    ] = None,
    socket: Annotated[
        Path | None,
        typer.Option(help="Where the server connects.", show_default="a new one, printed"),
    ] = None,
    peer: Annotated[
        str | None, typer.Option(metavar="MAC", help="With --nic: who is at its other end.")
    ] = None,
    server_mac: Annotated[
        str | None,
        typer.Option(
            metavar="MAC", help="The server's.", show_default="as on the wire pvp; printed"
        ),
    ] = None,
) -> None:
    """Forward between a NIC-like port and a vhost-user socket, as a host with guests does.

    DPDK's testpmd does the work, and polls. SIGTERM or Ctrl-C ends it and prints its counts.
    """
    from nearmetal.commands.switch import switch as run

    raise typer.Exit(run(nic, socket, peer, server_mac))


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "nearmetal load 127.0.0.1:11211 --for 10s\n\n"
    "nearmetal load 10.0.0.1:11211 --window 512 --json\n\n"
    "nearmetal load 10.0.0.1:11211 --rate 200000 --arrivals poisson\n\n"
    "nearmetal load 10.0.0.1:11211 --sweep window=1,4,16,64,256\n\n"
    "nearmetal load 10.0.0.2:11211 --vhost-user /run/nm.sock --source 10.0.0.1"
)
def load(
    target: load_options.Target,
    service: load_options.Service = None,
    workload: load_options.WorkloadName = "standard",
    window: load_options.Window = None,
    rate: load_options.Rate = None,
    arrivals: load_options.Arrivals = "constant",
    sweep: load_options.Sweep = None,
    lcores: load_options.Lcores = None,
    vhost_user: load_options.VhostUser = None,
    nic: load_options.Nic = None,
    source: load_options.Source = None,
    duration: load_options.Duration = None,
    as_json: load_options.AsJson = False,
) -> None:
    """Drive a server with the traffic generator and check every answer. [bold]It writes keys.[/]

    The keys it writes begin with [bold]nm[/]; it preloads them, and again whenever the server was
    silent for over a second and came back. One line a second: replies a second, latency, lost and
    wrong answers, and what the generator's own cycles went into. Exit code 1 when an answer was
    wrong.
    """
    from nearmetal.commands.load import Options
    from nearmetal.commands.load import load as run

    asked = Options(target, service, workload, window, duration, as_json, rate, arrivals, lcores)
    raise typer.Exit(
        run(replace(asked, sweep=sweep, vhost_user=vhost_user, nic=nic, source=source))
    )


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "nearmetal tune show --interface eth1\n\n"
    "nearmetal tune apply\n\n"
    "nearmetal tune apply governor=performance turbo=off hugepages_2mib=512\n\n"
    "nearmetal tune restore\n\n"
    "nearmetal tune --boot"
)
def tune(
    action: Annotated[str, typer.Argument(help="show, apply, restore or boot.")] = "show",
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Of apply: the keys of a spec's table machine.",
            show_default="what makes results steady",
        ),
    ] = None,
    boot: Annotated[
        bool, typer.Option("--boot", help="Print the kernel command line for this machine.")
    ] = False,
    interface: Annotated[
        str | None, typer.Option(help="Of show: this interface's receive steering and offloads.")
    ] = None,
) -> None:
    """Show how this machine is set for measuring, set it, put it back.

    What apply sets stays until restore or the next boot; a spec's table machine is set for its
    run alone. boot prints what only a boot can set, and where that goes; it changes nothing.
    """
    from nearmetal.commands.tune import run

    raise typer.Exit(run(action, words or [], interface, boot))


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "nearmetal testbed rehearse\n\n"
    "nearmetal testbed rehearse --generators 2 --spec smoke --rungs host-mmsg\n\n"
    "nearmetal testbed run machines.toml --spec quick"
)
def testbed(
    action: Annotated[str, typer.Argument(help="run or rehearse.")],
    machines: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Of run: which machines.")
    ] = None,
    spec: Annotated[
        str | None,
        typer.Option(
            "--spec",
            help="A spec file, or a name in specs/.",
            show_default="quick; of rehearse rehearsal",
        ),
    ] = None,
    rungs: Rungs = None,
    out: Out = None,
    generators: Annotated[
        int | None,
        typer.Option(
            "--generators",
            help="Of rehearse: how many machines ask.",
            show_default="as many as the spec wants",
        ),
    ] = None,
    take: Taken = None,
    yes: Yes = False,
) -> None:
    """Measure over several machines: one serves, others ask; docs/testbed.md.

    run takes machines that a file names. rehearse makes them of network namespaces of this one.
    """
    del yes  # the launcher's
    from nearmetal.commands.testbed import run

    result, folder, code = run(action, machines, spec, rungs, out, generators, take)
    _show(result, folder)
    raise typer.Exit(code)


@app.command(hidden=True)
def agent(yes: Yes = False) -> None:
    """What `testbed` runs on each machine; it speaks JSON lines (testbed/agent.py)."""
    from nearmetal.testbed.agent import serve

    serve()


@app.command()
def clean(
    everything: Annotated[
        bool, typer.Option("--all", help="The cache and everything built, too.")
    ] = False,
) -> None:
    """Undo what a killed run left behind; with --all remove the cache and everything built.

    Only what is journaled as ours is touched, and only where its owner is dead. --all prints which
    system packages set-up installed; they stay.
    """
    from nearmetal.commands.clean import clean as run

    run(everything)


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "nearmetal test\n\n"
    "nearmetal test -k wire\n\n"
    "nearmetal test --full --minutes 40"
)
def test(
    full: Annotated[
        bool, typer.Option("--full", help="Everything: much longer, and on empty machines too.")
    ] = False,
    long: Annotated[bool, typer.Option("--long", hidden=True)] = False,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes",
            help="Of --full: start no test after so long. The tests not run for longest go first.",
            min=0,
        ),
    ] = None,
    only: Annotated[
        str | None, typer.Option("-k", help="Only tests that match (as pytest).")
    ] = None,
    yes: Yes = False,
) -> None:
    """Prove it right: C units and fuzzing under sanitizers, then the Python tests on every rung."""
    del yes  # the launcher's
    from nearmetal.commands.test import selftest

    raise typer.Exit(selftest(full=full or long, only=only, minutes=minutes))
