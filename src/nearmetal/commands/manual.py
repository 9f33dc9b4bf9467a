"""Make the manual page and the shell completion from the same description that --help prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from typer.main import get_command

from nearmetal import __version__

Described = tuple[str, Any]  # a command's name, and typer's description of the command


def page(app: typer.Typer) -> str:
    """Return the manual page, in roff (man(7))."""
    return "\n".join(_page(app)) + "\n"


def _page(app: typer.Typer) -> Iterator[str]:
    whole: Any = get_command(app)
    first, _, rest = (whole.help or "").partition(" Measure it.")
    yield f'.TH NEARMETAL 1 "" "nearmetal {__version__}"'
    yield from (".SH NAME", _text("nearmetal - measure how close to the metal a service must be"))
    yield from (".SH SYNOPSIS", r"\fBnearmetal\fR [\fIOPTION\fR] \fICOMMAND\fR [\fIARGUMENT\fR]...")
    yield from (".SH DESCRIPTION", _text(f"{first}{rest}"), _text(whole.epilog or ""))
    yield ".SH OPTIONS"
    yield from _parameters(whole, "nearmetal")
    yield ".SH COMMANDS"
    for name, command in _commands(app):
        yield f".SS {_text(f'nearmetal {name}')}"
        for paragraph in (command.help or "").split("\n\n"):
            yield from (".PP", _text(" ".join(paragraph.split())))
        yield from _parameters(command, name)
        yield from _epilog(command.epilog or "")
    yield ".SH EXIT STATUS"
    yield _text(
        "0 done (rows that cannot run here are skipped with a reason); 1 failed, or wrong answers;"
        " 2 bad input; 130 interrupted."
    )


def _parameters(command: Any, name: str) -> Iterator[str]:
    """Yield the options and arguments as --help shows them, in roff."""
    context = _context(command, name)
    for parameter in command.get_params(context):
        if getattr(parameter, "hidden", False):
            continue
        record = parameter.get_help_record(context)
        if record is not None:
            yield from (".TP", rf"\fB{_text(record[0])}\fR", _text(record[1] or ""))


def _epilog(text: str) -> Iterator[str]:
    """Yield a command's epilog in roff; examples keep their lines."""
    lines = text.removeprefix("\b\n").splitlines()
    if not text.startswith("\b\n"):
        yield from (".PP", _text(text)) if text else ()
        return
    yield from (".PP", _text(lines[0]), ".nf", *map(_text, lines[1:]), ".fi")


def _text(words: str) -> str:
    """Escape text for roff."""
    plain = words.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{plain}" if plain.startswith((".", "'")) else plain


_SCRIPT = """# bash completion of nearmetal; in zsh first: autoload -U bashcompinit && bashcompinit
_nearmetal() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} word='' words='' i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${{COMP_WORDS[i]}} in
            -*) ;;
            *) word=${{COMP_WORDS[i]}} && break ;;
        esac
    done
    case $word in
{cases}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _nearmetal nearmetal
"""


def completion(app: typer.Typer) -> str:
    """Return a bash script that completes from fixed word lists, without starting a program."""
    from nearmetal.spec.rungs import RUNGS  # slow to import

    built = [rung for rung in RUNGS if rung.absent is None]
    rows = {
        "serve": [rung.name for rung in built if rung.place != "reference"],
        "build": [rung.name for rung in built],
    }
    names = [name for name, _ in _commands(app)]
    cases = [_case("''", [*names, *_options(get_command(app), "nearmetal")])]
    for name, command in _commands(app):
        cases.append(_case(name, [*_options(command, name), *rows.get(name, ())]))
    return _SCRIPT.format(cases="\n".join(cases))


def _case(pattern: str, words: list[str]) -> str:
    return f"        {pattern}) words='{' '.join(words)}' ;;"


def _options(command: Any, name: str) -> list[str]:
    context = _context(command, name)
    shown = (each for each in command.get_params(context) if not getattr(each, "hidden", False))
    return [word for each in shown for word in each.opts if word.startswith("-")]


def _context(command: Any, name: str) -> Any:
    return command.context_class(command, info_name=name, help_option_names=["--help", "-h"])


def _commands(app: typer.Typer) -> list[Described]:
    """Return name and description of the commands that are not hidden, sorted by name."""
    whole: Any = get_command(app)
    return [(name, each) for name, each in sorted(whole.commands.items()) if not each.hidden]
