"""The command line of MLPO: one word per stage, and what a person asks of a trained leader."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlpo.cli_errors import exit_codes
from mlpo.stage_table import STAGES

if TYPE_CHECKING:
    from mlpo.config import Params

TRAINED_TOGETHER = ("train_sft", "train_mlpo")
"""Stages that start further processes of themselves where `runtime.processes` asks for them."""

PREFECT = {
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # a new database is slow to make
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # else it complains offline
    "DO_NOT_TRACK": "1",
}
"""What Prefect's temporary server is told, unless the environment says otherwise."""

# Imports stand inside the functions and help is plain, so that `mlpo --help` takes 0.2 s.
app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, help=__doc__
)
inspect_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look at what a stage made.")
app.add_typer(inspect_app, name="inspect")
team_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="What a team is worth before training.")
app.add_typer(team_app, name="team")

Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Lay a value over params.yaml; repeatable.")
]


@app.command()
def run(
    changes: Set = None,
    seed: Annotated[int | None, typer.Option(help="Short for --set seed=N.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, refuse what cannot work.")] = False,
    params: Annotated[Path | None, typer.Option(help="A whole set of parameters instead of params.yaml.")] = None,
    memory_gb: Annotated[float | None, typer.Option(min=0, help="With --dry-run: memory of the device.")] = None,
) -> None:
    """Run what is not up to date, through Prefect.

    With other parameters than params.yaml's it works in a worktree of its own and leaves the checkout alone.
    """
    from mlpo.config import ConfigError, load_params, parse_params, raw_params
    from mlpo.config.overrides import merge, parse_assignments
    from mlpo.layout import PARAMS
    from mlpo.processes.session import run_in_session

    if memory_gb and not dry_run:
        raise ConfigError("--memory-gb is for --dry-run; leave it out, or put --dry-run in")
    overrides = merge(parse_assignments(changes or []), {} if seed is None else {"seed": seed})
    file = params or PARAMS
    load_params(file)  # its own errors bear its name; both are refused here, before a server starts
    checked = parse_params(merge(raw_params(file), overrides), source="overrides")
    if dry_run:
        _print_plan(checked, file, memory_gb)
        return
    for name, value in PREFECT.items():
        os.environ.setdefault(name, value)
    asked = {"overrides": overrides, "params": str(file)}
    sys.exit(run_in_session([sys.executable, "-m", "flows.pipeline", json.dumps(asked)]))


def _print_plan(params: Params, source: Path, memory_gb: float | None) -> None:
    from rich.console import Console

    from mlpo.planning import dry_run

    console = Console(width=None if sys.stdout.isatty() else 160)
    dry_run.run(params, console, source=str(source), memory_gb=memory_gb)


def _stage(name: str, *arguments: str) -> None:
    from mlpo.training.launch import launch, wants_launch

    params = _params()
    if name in TRAINED_TOGETHER and wants_launch(params.runtime):
        from mlpo.layout import WORK

        sys.exit(launch(["mlpo.cli", name], params.runtime, WORK / "training" / f"{name}-processes"))
    importlib.import_module(f"mlpo.stages.{name}").run(params, *arguments)


def _evaluate_again(version: str) -> None:
    from mlpo.commands import evaluate_version
    from mlpo.tracking.registry import version_number

    evaluate_version.run(_params(), version_number(version))


def _add_stage(name: str, meaning: str) -> None:
    if STAGES[name].of_each_agent:

        def command(agent: Annotated[str, typer.Argument(help="A name from `team` in params.yaml.")]) -> None:
            _stage(name, agent)
    elif name == "evaluate":

        def command(  # type: ignore[misc]
            leader: Annotated[
                str | None, typer.Option(metavar="VERSION", help="A registered leader and its own team instead.")
            ] = None,
        ) -> None:
            _stage("evaluate") if leader is None else _evaluate_again(leader)
    else:

        def command() -> None:  # type: ignore[misc]
            _stage(name)

    app.command(name, help=meaning)(command)


for _name, _info in STAGES.items():
    _add_stage(_name, _info.meaning)


@app.command()
def code() -> None:
    """Write down what each stage depends on beside its data: its code and its parameters."""
    _stage("code")


@app.command()
def ask(question: Annotated[str, typer.Argument(help='Such as "17 + 25?"')]) -> None:
    """Ask the champion and its team, round by round."""
    from mlpo.commands import ask as stage

    stage.run(_params(), question)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Short for --set serve.host=ADDRESS.")] = None,
    port: Annotated[int | None, typer.Option(help="Short for --set serve.port=N; 0 takes a free one.")] = None,
    changes: Set = None,
) -> None:
    """The champion and its team behind one OpenAI-compatible URL, with a page to watch them."""
    from mlpo.config import parse_params, raw_params
    from mlpo.config.overrides import merge, parse_assignments
    from mlpo.layout import PARAMS
    from mlpo.serving import server

    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    overrides = merge(parse_assignments(changes or []), {"serve": given} if given else {})
    server.run(parse_params(merge(raw_params(PARAMS), overrides), source="overrides"))


@app.command()
def grade(
    file: Annotated[
        Path | None, typer.Argument(help="JSONL of {kind, target, text}; standard input if left out.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes that compare expressions.")] = 2,
) -> None:
    """Grade texts: one {answer, score, reason} a line, by the grader that trains and evaluates."""
    from contextlib import nullcontext

    from mlpo.commands import grade as stage
    from mlpo.config import ConfigError

    try:
        lines = nullcontext(sys.stdin.buffer) if file is None else file.open("rb")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    with lines as opened:
        name = str(file or "standard input")
        if not_graded := stage.run(opened, sys.stdout, name=name, workers=workers):
            print(f"mlpo: {name}: lines not graded: {not_graded}; the reason of each is in its place", file=sys.stderr)


@app.command()
def study(
    name: Annotated[str, typer.Argument(help="A file in configs/studies, without .yaml.")],
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Steps at a time; each gets its share of the cores.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs and what they cost.")] = False,
) -> None:
    """Ablations: every variant of a study with every seed, as tables. What is finished is not run again."""
    from mlpo.studies import run as stage

    sys.exit(stage.run(name, jobs=jobs, dry_run=dry_run).exit_code)


@app.command()
def report() -> None:
    """The report of this checkout's results again: data/report/report.html and data/report/plots."""
    from mlpo.evaluation import write_report as stage

    stage.run()


@app.command()
def pool(
    places: Annotated[
        list[Path], typer.Argument(metavar="CHECKOUT...", help="Evaluated checkouts, or their metrics.json.")
    ],
    markdown: Annotated[bool, typer.Option("--markdown", help="As in the README.")] = False,
    picture: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw the accuracies, too.")] = None,
) -> None:
    """Several seeds as one result: accuracies and differences, averaged inside a problem, then over problems."""
    from mlpo.commands import pool as stage

    stage.run(_params(), places, markdown=markdown, picture=picture)


@app.command()
def params() -> None:
    """Every parameter: type, default, range and meaning."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from mlpo.config.params_page import parameters

    table = Table("parameter", "type", "default", "range", "meaning", title="params.yaml")
    for parameter in parameters():
        table.add_row(*map(escape, parameter))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@inspect_app.command("transcripts")
def inspect_transcripts(
    strategy: Annotated[str, typer.Argument(help="A name in metrics.json, such as leader or debate; or all.")],
    number: Annotated[int, typer.Option(min=1, help="How many.")] = 1,
    question: Annotated[str, typer.Option(metavar="WORDS", help="Only questions that hold these words.")] = "",
) -> None:
    """What a strategy did for test problems, as Markdown: who said what, what was read in it, what it cost."""
    from mlpo.commands import inspect_transcripts

    inspect_transcripts.run(strategy, number, question)


@inspect_app.command("proposals")
def inspect_proposals(
    agent: Annotated[str, typer.Argument(help="Its name in params.yaml.")],
    number: Annotated[int, typer.Option(min=1, help="How many.")] = 5,
    question: Annotated[str, typer.Option(metavar="WORDS", help="Only questions that hold these words.")] = "",
) -> None:
    """What an agent was asked, what it looked up in its own documents, and what it proposed."""
    from mlpo.commands import inspect_proposals as stage

    stage.run(_params(), agent, number, question)


@inspect_app.command("demonstrations")
def inspect_demonstrations(
    number: Annotated[int, typer.Option(min=1, help="How many, one kind after the other.")] = 3,
) -> None:
    """What the leader is trained on in green, its prompt dim."""
    from mlpo.commands import inspect_demonstrations as stage

    stage.run(number)


@team_app.command("coverage")
def team_coverage(
    best: Annotated[int, typer.Option(min=1, help="Rows for each number of agents.")] = 5,
) -> None:
    """How often some agent is right, for every subset of the team: on calibration problems."""
    from mlpo.commands import team_coverage as stage

    stage.run(_params(), best=best)


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="Number of a registered leader; see `mlpo leaders`.")],
    force: Annotated[bool, typer.Option("--force", help="Even if the gate refuses; needs --reason.")] = False,
    reason: Annotated[str | None, typer.Option(help="Recorded with the decision.")] = None,
) -> None:
    """Make a registered leader the champion, if it clears the gate."""
    from mlpo.commands import leaders

    leaders.promote(_params(), version, force=force, reason=reason)


@app.command()
def rollback(reason: Annotated[str | None, typer.Option(help="Recorded with the decision.")] = None) -> None:
    """Make the previous champion the champion again."""
    from mlpo.commands import leaders

    leaders.rollback(reason)


@app.command("leaders")
def list_leaders() -> None:
    """Every registered leader, newest first: accuracy, evaluation set, aliases."""
    from mlpo.commands import leaders

    leaders.show_leaders()


@app.command()
def export(
    version: Annotated[str, typer.Argument(metavar="VERSION|champion", help="A leader's number or alias.")],
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
) -> None:
    """A registered leader as a plain Hugging Face folder: weights, tokenizer, chat template, model card."""
    from mlpo.commands import export as stage

    stage.run(version, folder)


@app.command()
def lineage(
    reference: Annotated[
        str,
        typer.Argument(metavar="VERSION|RUN", help="A leader's number, or the id of an MLflow or Prefect flow run."),
    ],
) -> None:
    """Where a registered leader came from: commit, flow runs, MLflow runs, content."""
    from mlpo.commands import leaders

    leaders.show_lineage(reference)


def _params() -> Params:
    from mlpo.config import load_params
    from mlpo.layout import PARAMS

    return load_params(PARAMS)


def main() -> None:
    """Entry point of the `mlpo` command."""
    with exit_codes():
        app()


if __name__ == "__main__":
    main()
