"""What `mlpo inspect demonstrations` shows: what the leader is trained on in green, its prompt dim."""

from __future__ import annotations

from itertools import islice, zip_longest

from rich.console import Console
from rich.text import Text

from mlpo.config import ConfigError
from mlpo.layout import DEMONSTRATIONS
from mlpo.store import read_jsonl
from mlpo.types import Demonstration


def run(number: int) -> None:
    """Print the first demonstrations, one kind after the other.

    Raises:
        ConfigError: there are none yet.
    """
    if not DEMONSTRATIONS.exists():
        raise ConfigError(f"{DEMONSTRATIONS}: no such file; run `mlpo run` first")
    of_kind: dict[str, list[Demonstration]] = {}
    for demonstration in read_jsonl(DEMONSTRATIONS, Demonstration):
        of_kind.setdefault(demonstration.kind, []).append(demonstration)
    in_turn = (each for row in zip_longest(*of_kind.values()) for each in row if each)
    console = Console()
    for each in islice(in_turn, number):
        console.rule(f"{each.kind} · {each.family} · {each.problem_id}")
        for message in each.messages:
            console.print(Text(f"{message.role}: {message.content}", style="dim"))
        console.print(Text(each.completion, style="green"))
