"""`make bench`: the grid of shapes, a table on the terminal, speed/results.json and results.md."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from speed.measure import MODULES, measure
from speed.page import page
from speed.shape import Shape

RESULTS = Path(__file__).with_name("results.json")
COMPLETION = 64


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"Benchmarks to run: {', '.join(MODULES)}.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "auto",
    prompt: Annotated[list[int] | None, typer.Option("--prompt", "-P", help="Prompt tokens.")] = None,
    group: Annotated[list[int] | None, typer.Option("--group", "-G", help="Completions of a prompt.")] = None,
    prompts: Annotated[int, typer.Option(help="Distinct prompts of one repeat.")] = 1,
    repeats: Annotated[int, typer.Option(min=1, help="Interleaved repeats; the median counts.")] = 3,
    quick: Annotated[bool, typer.Option(help="P 512, G 8, one repeat.")] = False,
    output: Annotated[
        Path, typer.Option(help="Where the rows go, as a page too (.md); a case's older row is replaced.")
    ] = RESULTS,
) -> None:
    """Time the shared prompt against TRL's trainer and transformers' generate, P {128, 512, 1024} x G {4, 8, 16}."""
    unknown = set(only or ()) - set(MODULES)
    if unknown:
        raise typer.BadParameter(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(MODULES)}")
    lengths, sizes = prompt or ([512] if quick else [128, 512, 1024]), group or ([8] if quick else [4, 8, 16])
    console = Console()
    rows: list[dict[str, Any]] = []
    for name in only or _comparable():
        for p in lengths:
            for g in sizes:
                with console.status(f"{MODULES[name]}: P {p}, G {g}"):
                    rows.append(measure(name, Shape(p, COMPLETION, g, prompts), device, 1 if quick else repeats))
                write(rows, output)
                console.print(_line(rows[-1]))
    console.print(table(rows))


def _comparable() -> list[str]:
    """Every benchmark whose rival is installed."""
    return [name for name in MODULES if name != "steps_comlrl" or importlib.util.find_spec("comlrl")]


def write(rows: Sequence[dict[str, Any]], output: Path) -> None:
    """Put rows into the file, in place of older ones of the same benchmark, shape and device; a page lies beside it."""
    known = json.loads(output.read_text(encoding="utf-8")) if output.exists() else []
    kept = list({_key(row): row for row in [*known, *rows]}.values())
    output.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    output.with_suffix(".md").write_text(page(kept), encoding="utf-8")


def _key(row: dict[str, Any]) -> str:
    return json.dumps([row["name"], row["shape"], row["device"], row["dtype"]])


def _line(row: dict[str, Any]) -> str:
    shape = row["shape"]
    return (
        f"{MODULES[row['name']]} P {shape['P']} G {shape['G']}: {row['ours_seconds']:.2f} s, "
        f"theirs {row['theirs_seconds']:.2f} s, ratio {row['ratio']:.2f}"
    )


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """All rows, a ratio beside its limit."""
    shown = Table(title="Ours against theirs; the limit is G (P + C) / (P + G C)", box=box.SIMPLE, padding=(0, 1, 0, 0))
    for title in ("benchmark", "P C G", "ours s", "theirs", "ratio", "limit", "tok/s", "MiB", "theirs"):
        shown.add_column(title, justify="left" if title == "benchmark" else "right", no_wrap=True)
    for row in rows:
        shape = row["shape"]
        shown.add_row(
            MODULES[row["name"]], f"{shape['P']} {shape['C']} {shape['G']}",
            f"{row['ours_seconds']:.2f}", f"{row['theirs_seconds']:.2f}", f"{row['ratio']:.2f}",
            f"{row['token_limit']:.2f}", f"{row['tokens_per_second']:.0f}", f"{row['peak_mb']:.0f}",
            f"{row['theirs_peak_mb']:.0f}",
        )  # fmt: skip
    if rows:
        shown.caption = f"{rows[0]['device']}, median of {rows[0]['repeats']} interleaved repeats"
    return shown


if __name__ == "__main__":
    typer.run(main)
