"""The model `hostile`: no model, but an agent that always argues for a wrong answer (strategies/hostile_prompts.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

from mlpo.config import HOSTILE, ConfigError
from mlpo.inference.backend import Backend, OnAnswer
from mlpo.inference.model_pool import Models, Source, TokenCounter
from mlpo.method.strategies.hostile_prompts import HostileClaims
from mlpo.models.identity import Quantization
from mlpo.types import Completion, Problem, Request

ReadProblems = Callable[[], Mapping[str, Problem]]
"""Reads one split's problems, by id."""


class HostileModels:
    """Other models, and `hostile` beside them."""

    def __init__(self, models: Models, splits: Sequence[ReadProblems], seed: int) -> None:
        """Wraps `models`.

        Args:
            splits: each reads problems by id. The first when the first hostile agent is opened: it borrows the targets
                of these alone. The others one by one, when it is asked about a problem that none before them holds.
        """
        self._models = models
        self._splits = tuple(splits)
        self._seed = seed

    @cached_property
    def _known(self) -> tuple[KnownProblems, HostileClaims]:
        first, *later = self._splits
        problems = first()
        return KnownProblems(problems, later), HostileClaims(problems.values(), self._seed)

    def identity(self, model: str, revision: str | None) -> str:
        """Its words depend on the seed, on the targets it borrows, and on the problem that a request's key holds."""
        return f"{HOSTILE}:{self._known[1].identity}" if model == HOSTILE else self._models.identity(model, revision)

    def quantized(self, how: Quantization) -> Source:
        """The other models, quantised."""
        return self._models.quantized(how)

    def open(self, model: str, revision: str | None) -> Backend:
        """The hostile agent, or another model."""
        if model != HOSTILE:
            return self._models.open(model, revision)
        return HostileBackend(*self._known)

    def token_counter(self, model: str, revision: str | None) -> TokenCounter:
        """As the other models count."""
        return self._models.token_counter(model, revision)


class KnownProblems:
    """Problems by id; a split is read only when it is needed, so that training opens no test problem."""

    def __init__(self, problems: Mapping[str, Problem], later: Sequence[ReadProblems]) -> None:
        self._problems = dict(problems)
        self._later = list(later)

    def get(self, problem_id: str) -> Problem | None:
        """The problem, or None where no split holds it."""
        while problem_id not in self._problems and self._later:
            self._problems |= self._later.pop(0)()
        return self._problems.get(problem_id)


class HostileBackend:
    """Answers at once, in one sentence; a word counts as a token, and it reads nothing of its prompt."""

    def __init__(self, problems: KnownProblems, claims: HostileClaims) -> None:
        self._problems = problems
        self._claims = claims

    def check(self, requests: Iterable[Request]) -> None:
        """Refuse what it has no wrong answer for.

        Raises:
            ConfigError: a question that is no problem of the benchmark.
        """
        for request in requests:
            self._problem(request)

    def generate(self, requests: Sequence[Request], on_answer: OnAnswer | None = None) -> list[Completion]:
        """The same claim about a problem, whatever is said to it."""
        return [self._answer(request) for request in requests]

    def close(self) -> None:
        """Holds nothing."""

    def _answer(self, request: Request) -> Completion:
        text = self._claim(request)
        return Completion(
            problem_id=request.problem_id,
            model=request.model,
            text=text,
            finish_reason="stop",
            prompt_tokens=0,
            completion_tokens=len(text.split()),
            sample=request.sample,
            passages=request.passages,
            entropy=0.0 if request.sampling.entropy else None,
        )

    def _claim(self, request: Request) -> str:
        try:
            return self._claims.of(self._problem(request))
        except ValueError as error:
            raise ConfigError(f"{request.model}: {error}; take more problems, or leave the hostile agent out") from None

    def _problem(self, request: Request) -> Problem:
        problem = self._problems.get(request.problem_id)
        if problem is None:
            raise ConfigError(
                f"{request.model}: a hostile agent needs a problem of the benchmark, whose target it avoids; "
                f"{request.problem_id} is none: ask without it"
            )
        return problem
