"""The reference page of the command line, read from the parsers of the commands."""

from typing import Any

import typer
from table_text import table

from raysearch.cli.commands import app


def command_line_page() -> str:
    """Return the page of all commands with every argument and option."""
    group = typer.main.get_command(app)
    commands: dict[str, Any] = group.commands  # type: ignore[attr-defined]
    lines = [
        "# Command line",
        (group.help or "").strip(),
        "Exit codes: 0 when all trials ended, 1 when some failed, 2 when there is something to"
        " mend, 130 when interrupted. `raysearch COMMAND --help` shows the same as this page.",
    ]
    for name, command in commands.items():
        lines += _command(name, command)
    return "\n\n".join(lines)


def _command(name: str, command: Any) -> list[str]:
    """Return the parts of a command's section."""
    arguments = [p for p in command.params if type(p).__name__ == "TyperArgument"]
    options = [p for p in command.params if p not in arguments and not p.hidden]
    usage = " ".join(["raysearch", name, *map(_argument_name, arguments)])
    parts = [f"## {name}", f"```\n{usage}{' [OPTIONS]' * bool(options)}\n```"]
    parts.append((command.help or "").strip())
    if arguments:
        rows = [(f"`{_argument_name(argument)}`", _text(name, argument)) for argument in arguments]
        parts.append(table(("argument", "what it is"), rows))
    if options:
        rows = [(f"`{_option_name(option)}`", _text(name, option)) for option in options]
        parts.append(table(("option", "what it is"), rows))
    if examples := [line for line in (command.epilog or "").split("\n\n")[1:] if line]:
        parts.append("```console\n" + "\n".join(f"$ {line}" for line in examples) + "\n```")
    return parts


def _argument_name(argument: Any) -> str:
    name = (argument.metavar or argument.name).strip("_").upper()
    name += "..." if argument.nargs == -1 else ""
    return name if argument.required else f"[{name}]"


def _option_name(option: Any) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    if option.is_flag:
        return names
    return f"{names} {option.metavar or option.name.strip('_').upper()}"


def _text(command: str, parameter: Any) -> str:
    if not parameter.help:
        raise ValueError(f"{command}: {parameter.name} has no help text")
    return str(parameter.help)
