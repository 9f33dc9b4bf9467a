"""The command line: each command calls one module. `nearmetal COMMAND --help` describes it.

Exit codes: 0 done (rows that cannot run here are skipped with a reason), 1 failed or wrong answers,
2 bad input, 128 + N ended by signal N (130: Ctrl-C). After a signal, changes to the machine are
undone and measurements are kept. A command imports its heavy modules itself, so `list` is quick and
`serve` does not load the plotting library.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearmetal.commands import (
    bench_options,
    load_options,
    serve_options,
    test_options,
    tune_options,
)
from nearmetal.commands.application import app as app
from nearmetal.commands.application import command as _command
from nearmetal.commands.bench_options import Against, Out, Rounds, Rungs, Spec, Taken
from nearmetal.commands.common_options import (
    AsJson,
    Quiet,
    Rows,
    ServiceArgs,
    Services,
    Unchecked,
    Version,
    Yes,
)

if TYPE_CHECKING:
    from nearmetal.report import Report


@app.callback(epilog="Start with: ./nearmetal bench. Test it: ./nearmetal test")
def nearmetal(version: Version = False) -> None:
    """How close to the metal does your network service need to be? Measure it."""
    del version  # its callback has printed it


def _show(result: Report, folder: Path, *, as_json: bool = False) -> None:
    """Print the tables and the path of the report page, or the report as JSON."""
    from nearmetal.report import layout, pairs, ratios, table

    if as_json:
        print(result.model_dump_json())
        return
    console, wide = layout.console(), layout.columns()
    for each in filter(None, (made(result, wide) for made in (table, ratios, pairs))):
        console.print(each)
    print(folder / "report.html")


@_command(
    "bench",
    "bench --rungs host-sock,host-mmsg:echo",
    "bench --rungs memcached,host-mmsg --out /tmp/mine --yes",
    "bench --spec specs/smoke.toml",
    "bench --spec against --against HEAD~1",
    "bench --service greeter.py",
)
def bench(
    spec: Spec = None,
    rungs: Rungs = None,
    rounds: Rounds = None,
    against: Against = None,
    service: Services = None,
    service_arg: ServiceArgs = None,
    unchecked: Unchecked = False,
    out: Out = None,
    yes: Yes = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure a spec's rows, check every answer, and write a report.

    A row that cannot run here is shown with the reason; `list` shows these rows too. The expected
    time is printed before the start (`list` prints it too). Each stage writes a file to the run's
    folder; `report` makes the report again from these files. As root, the traffic uses a veth pair
    between two network namespaces made for the run. A user who may not make these measures over lo,
    and the table says so.
    """
    from nearmetal.commands import own
    from nearmetal.commands.bench import Options
    from nearmetal.commands.bench import bench as run

    given = own.rows(service, service_arg, unchecked=unchecked)
    done = run(Options(spec, rungs, rounds, against, out, yes, quiet), given)
    if done is None:
        raise typer.Exit(0)
    result, folder, code = done
    _show(result, folder, as_json=as_json)
    raise typer.Exit(code)


@_command("report", "report runs/20260101T120000Z-quick --pdf")
def report(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="The folder of a run.", show_default="the last run"),
    ] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Write the figures as PDF too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a run's report again from the files in its folder, and print the path of the page."""
    from nearmetal.commands import last
    from nearmetal.report import write

    found = last.folder(folder)
    _show(write(found, pdf=pdf), found, as_json=as_json)


@_command("build", "build host-mmsg ukp-netdev --yes")
def build(
    rows: Rows = None,
    service: Services = None,
    service_arg: ServiceArgs = None,
    unchecked: Unchecked = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Build the native programs, and print which are missing here and why.

    With rows: build only the programs that bench and serve start for them, and set-up installs only
    what these need. The exit code is 1 when one of their programs cannot be built.
    """
    del yes  # the launcher uses it
    from nearmetal.commands import own
    from nearmetal.commands.build import build as run

    run(rows or [], own.rows(service, service_arg, unchecked=unchecked), as_json=as_json)


@_command(name="list")
def list_(
    service: Services = None, service_arg: ServiceArgs = None, as_json: AsJson = False
) -> None:
    """Show which rows run here, and what each of the others lacks.

    Also shows how long `bench` takes here. Changes nothing.
    """
    from nearmetal.commands import own, rows
    from nearmetal.report import layout

    given = own.rows(service, service_arg)
    for line in rows.as_json(given) if as_json else rows.in_words(layout.columns(), given):
        print(line)


@_command()
def doctor(as_json: AsJson = False) -> None:
    """Show what this machine is and lacks, and which rows cannot run for that reason.

    Also shows what a killed run left behind, and where the last run is. Changes nothing.
    """
    from nearmetal.commands import doctor as look
    from nearmetal.report import layout

    if as_json:
        print(look.as_json())
        return
    for line in look.in_words(layout.columns()):
        print(line)


@_command(
    "serve host-mmsg",
    "serve host-mmsg --listen 10.0.0.1:11211 --allow 10.0.0.0/24",
    "serve host-mmsg --metrics 127.0.0.1:9100",
    "serve host-dpdk",
    "serve uk-netdev",
    "serve host-dpdk --nic 0000:03:00.0 --listen 10.0.0.1:11211 \\",
    "    --allow 10.0.0.0/24",
)
def serve(
    rung: serve_options.Rung,
    listen: serve_options.Listen = None,
    memory: serve_options.Memory = None,
    allow: serve_options.Allow = None,
    admin: serve_options.Admin = None,
    trusted: serve_options.Trusted = None,
    metrics: serve_options.Metrics = None,
    nic: serve_options.Nic = None,
    poll: serve_options.Poll = False,
    service: serve_options.Service = None,
    service_arg: ServiceArgs = None,
    unchecked: Unchecked = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Serve one row for real use, on one core: memcached's ASCII protocol over UDP, or --service.

    Ctrl-C or SIGTERM (kill PID) stops it: it answers queued requests, then prints its counts.
    Most memcached clients speak TCP only; the README names clients that speak UDP.
    """
    from nearmetal.commands import own
    from nearmetal.commands.serve import Options
    from nearmetal.commands.serve import serve as run

    rights = (allow or [], admin or [], trusted or [])
    served = own.Served(own.rows([service] if service else [], service_arg, unchecked=unchecked))
    options = Options(listen, memory, *rights, metrics, nic, poll, quiet, as_json, served)
    raise typer.Exit(run(rung, options))


@_command("switch --socket /run/nm.sock")
def switch(
    nic: serve_options.SwitchNic = None,
    socket: serve_options.Socket = None,
    peer: serve_options.Peer = None,
    server_mac: serve_options.ServerMac = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Forward between a NIC or veth port and a vhost-user socket, as a host with guests does.

    DPDK's testpmd forwards, and polls all the time. Ctrl-C or SIGTERM ends it; it then prints its
    counts.
    """
    from nearmetal.commands.switch import switch as run

    raise typer.Exit(run(nic, socket, peer, server_mac, quiet=quiet, as_json=as_json))


@_command(
    "load 127.0.0.1:11211 --for 10s",
    "load 10.0.0.1:11211 --window 512 --json",
    "load 10.0.0.1:11211 --rate 200000 --arrivals poisson",
    "load 10.0.0.1:11211 --sweep window=1,4,16,64,256",
    "load 10.0.0.2:11211 --vhost-user /run/nm.sock --source 10.0.0.1",
)
def load(
    target: load_options.Target,
    service: load_options.Service = None,
    service_arg: ServiceArgs = None,
    workload: load_options.WorkloadName = "light",
    window: load_options.Window = None,
    rate: load_options.Rate = None,
    arrivals: load_options.Arrivals = "constant",
    sweep: load_options.Sweep = None,
    lcores: load_options.Lcores = None,
    vhost_user: load_options.VhostUser = None,
    nic: load_options.Nic = None,
    source: load_options.Source = None,
    duration: load_options.Duration = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Drive a server with the traffic generator and check every answer. It WRITES keys.

    The keys it writes begin with nm. It preloads them at the start, and again when the server
    answers after a silence of over a second. With --service FILE it sends the requests of that
    service, and writes what they write. It prints one line a second: replies per second,
    latency, lost and wrong answers, and how the generator spent its cycles. The exit code is 1 when
    an answer was wrong; a missing key is not wrong where the server reports evictions.
    """
    from nearmetal.commands.load import Options
    from nearmetal.commands.load import load as run

    asked = Options(target, service, workload, window, duration, as_json, rate, arrivals, lcores)
    asked = replace(asked, sweep=sweep, vhost_user=vhost_user, nic=nic, source=source)
    asked = replace(asked, arguments=tuple(service_arg or ()))
    raise typer.Exit(run(replace(asked, quiet=quiet)))


@_command(
    "tune show --interface eth1",
    "tune apply",
    "tune apply governor=performance turbo=off hugepages_2mib=512",
    "tune restore",
    "tune --boot",
)
def tune(
    action: tune_options.Action = "show",
    words: tune_options.Words = None,
    boot: tune_options.Boot = False,
    interface: tune_options.Interface = None,
    as_json: AsJson = False,
) -> None:
    """Show this machine's settings that matter for measuring, change them, or restore them.

    Settings made by apply stay until restore or the next boot; a spec's table machine is applied
    for its run only. boot prints the settings that need a boot, and the file they belong in; it
    changes nothing.
    """
    from nearmetal.commands.tune import run

    raise typer.Exit(run(action, words or [], interface, boot, as_json=as_json))


@_command(
    "testbed rehearse",
    "testbed rehearse --generators 2 --spec smoke --rungs host-mmsg",
    "testbed rehearse --service greeter.py --rungs host-py,host-mmsg",
    "testbed run machines.toml --spec quick",
)
def testbed(
    action: bench_options.Action,
    machines: bench_options.Machines = None,
    spec: bench_options.BedSpec = None,
    rungs: Rungs = None,
    rounds: Rounds = None,
    service: Services = None,
    service_arg: ServiceArgs = None,
    unchecked: Unchecked = False,
    out: Out = None,
    generators: bench_options.Generators = None,
    take: Taken = None,
    yes: Yes = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure over several machines: one serves, the others generate load; docs/testbed.md.

    run uses the machines that a file names, and rehearse uses network namespaces of this machine.
    """
    del yes  # the launcher uses it
    from nearmetal.commands import own
    from nearmetal.commands.testbed import Options, run

    given = own.rows(service, service_arg, unchecked=unchecked)
    options = Options(spec, rungs, rounds, out, generators, take, quiet)
    result, folder, code = run(action, machines, options, given)
    _show(result, folder, as_json=as_json)
    raise typer.Exit(code)


@_command(hidden=True)
def agent(yes: Yes = False) -> None:
    """Run the agent that `testbed` starts on each machine: JSON lines (testbed/agent.py)."""
    from nearmetal.testbed.agent import serve

    serve()


@_command()
def clean(
    everything: Annotated[
        bool, typer.Option("--all", help="Also remove the cache and everything built.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Undo what a killed run left behind; with --all remove the cache and everything built.

    `doctor` shows what was left behind. Only changes in the project's own journals are undone, and
    only where the process that made them is gone. --all keeps runs and system packages, and prints
    the packages that set-up installed.
    """
    from nearmetal.commands.clean import clean as run

    run(everything, as_json=as_json)


@_command(
    "test",
    "test -k wire",
    "test --full --minutes 40",
)
def test(
    full: test_options.Full = False,
    long: test_options.Long = False,
    minutes: test_options.Minutes = None,
    only: test_options.Only = None,
    yes: Yes = False,
) -> None:
    """Test the programs: C unit tests and fuzzing under sanitizers, then every rung."""
    del yes  # the launcher uses it
    from nearmetal.commands.test import selftest

    raise typer.Exit(selftest(full=full or long, only=only, minutes=minutes))


@_command(epilog="To read it: ./nearmetal man | man -l -")
def man() -> None:
    """Print the manual page, made from the help texts. Installs nothing."""
    from nearmetal.commands.manual import page

    print(page(app), end="")


@_command(epilog="For this shell alone: source <(./nearmetal completion)")
def completion() -> None:
    """Print a script that lets bash, and zsh by bashcompinit, complete commands and options.

    Installs nothing.
    """
    from nearmetal.commands.manual import completion as script

    print(script(app), end="")


# The help lists the commands of this module after those above.
from nearmetal.commands import service_cli  # noqa: E402, F401
