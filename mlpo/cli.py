"""The command line of MLPO: one word per stage, and what a person asks of a trained leader."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from mlpo.config import Params

STAGES = {
    "prepare": "Benchmark -> train, test and shots problems.",
    "propose": "One agent answers every problem.",
    "demonstrate": "Verified corrections for the warm start.",
    "train_sft": "Warm start: the leader imitates the demonstrations.",
    "train_mlpo": "The leader learns to use its team's proposals.",
    "evaluate": "Every strategy on the test problems.",
    "register": "The leader as a registered version.",
}
USER_MISTAKE, TRANSIENT, INTERRUPTED = 2, 75, 130

# Imports stand inside the functions and help is plain, so that `mlpo --help` takes 0.2 s.
app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, help=__doc__
)
inspect_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look at what a stage made.")
app.add_typer(inspect_app, name="inspect")

Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Lay a value over params.yaml; repeatable.")
]


@app.command()
def run(
    changes: Set = None,
    seed: Annotated[int | None, typer.Option(help="Short for --set seed=N.")] = None,
) -> None:
    """Run what is not up to date, through Prefect.

    With other parameters it works in a worktree of its own and leaves the checkout alone.
    """
    from mlpo.config import parse_params
    from mlpo.overrides import merge, parse_assignments

    overrides = merge(parse_assignments(changes or []), {} if seed is None else {"seed": seed})
    parse_params(merge(_raw_params(), overrides), source="overrides")  # refuse here, before a server starts
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")  # a new database is slow to make
    sys.stdout.flush()
    command = [sys.executable, "-m", "flows.pipeline", json.dumps({"overrides": overrides})]
    os.execv(sys.executable, command)  # noqa: S606 - the flow takes this process's place: its signals, its exit code


def _stage(name: str, *arguments: str) -> None:
    importlib.import_module(f"mlpo.stages.{name}").run(_params(), *arguments)


def _add_stage(name: str, meaning: str) -> None:
    if name == "propose":

        def command(agent: Annotated[str, typer.Argument(help="A name from `team` in params.yaml.")]) -> None:
            _stage("propose", agent)
    else:

        def command() -> None:  # type: ignore[misc]
            _stage(name)

    app.command(name, help=meaning)(command)


for _name, _meaning in STAGES.items():
    _add_stage(_name, _meaning)


@app.command()
def ask(question: Annotated[str, typer.Argument(help='Such as "17 + 25?"')]) -> None:
    """Ask the champion and its team, round by round."""
    from mlpo.stages import ask as stage

    stage.run(_params(), question)


@app.command()
def params() -> None:
    """Every parameter: type, default, range and meaning."""
    from rich.console import Console
    from rich.table import Table

    from mlpo.config import Params

    table = Table("parameter", "type", "default", "range", "meaning", title="params.yaml")
    for row in _parameter_rows(Params):
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@inspect_app.command("demonstrations")
def inspect_demonstrations(
    number: Annotated[int, typer.Option(min=1, help="How many, spread over the kinds.")] = 3,
) -> None:
    """Show demonstrations as the leader sees them: the prompt dim, what it is trained on in green."""
    from rich.console import Console
    from rich.text import Text

    from mlpo.stages import demonstrate

    console = Console()
    for demonstration in demonstrate.pick(number):
        console.rule(f"{demonstration.kind} · {demonstration.family} · {demonstration.problem_id}")
        for message in demonstration.messages:
            console.print(Text(f"[{message.role}]\n{message.content}\n", style="dim"))
        console.print(Text(demonstration.completion, style="green"))


def _parameter_rows(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str, str, str]]:
    from pydantic import BaseModel
    from pydantic_core import PydanticUndefined

    for field, info in section.model_fields.items():
        name = prefix + (info.alias or field)
        inner = _section_of(info.annotation)
        if inner:
            is_mapping = not (isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel))
            yield from _parameter_rows(inner, f"{name}.<name>." if is_mapping else f"{name}.")
            continue
        default = info.get_default(call_default_factory=True, validated_data={})
        shown = "required" if default is PydanticUndefined else json.dumps(default)
        kind = info.annotation.__name__ if isinstance(info.annotation, type) else str(info.annotation)
        limits = ", ".join(str(limit) for limit in info.metadata)
        yield name, kind.replace("typing.", ""), shown, limits, info.description or ""


def _section_of(annotation: Any) -> type[BaseModel] | None:
    """The section a field holds, directly or as the values of a mapping."""
    from pydantic import BaseModel

    kinds = (annotation, *getattr(annotation, "__args__", ()))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _raw_params() -> dict[str, Any]:
    import yaml

    from mlpo.config import load_params
    from mlpo.layout import PARAMS

    load_params(PARAMS)  # for its errors
    raw: dict[str, Any] = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    return raw


def _params() -> Params:
    from mlpo.config import load_params
    from mlpo.layout import PARAMS

    return load_params(PARAMS)


@contextmanager
def _exit_codes() -> Iterator[None]:
    """A user's mistake is one line and 2, trouble that may pass is one line and 75; all else is a traceback and 1."""
    try:
        yield
    except KeyboardInterrupt:
        _leave("interrupted", INTERRUPTED)
    except Exception as error:
        from mlpo.agents.backend import TransientError

        if isinstance(error, TransientError):
            _leave(error, TRANSIENT)
        if isinstance(error, ValueError) and _is_ours(error):
            _leave(error, USER_MISTAKE)
        raise


def _is_ours(error: ValueError) -> bool:
    """Whether the error was raised by a line of mlpo, for a user to read, and not somewhere in a library."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return Path(frame.f_code.co_filename).is_relative_to(Path(__file__).parent)


def _leave(reason: object, code: int) -> NoReturn:
    print(f"mlpo: {' '.join(str(reason).split())}", file=sys.stderr)
    sys.exit(code)


def main() -> None:
    """Entry point of the `mlpo` command."""
    with _exit_codes():
        app()


if __name__ == "__main__":
    main()
