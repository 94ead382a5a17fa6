"""A backend that asks OpenAI-compatible servers: many requests at a time, each until it is answered or its time is up.

Every wait ends: a try after `timeout_seconds`, a completion, with all its tries and pauses, after `total_seconds`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from mlpo.config import ConfigError, ServerConfig
from mlpo.inference.backend import AllRefusedError, DeadModelError, OnAnswer, failed
from mlpo.inference.load_balancer import LoadBalancer, TroubleError
from mlpo.inference.openai_protocol import ForbiddenError, RefusedError, Reply, body_of, read_reply
from mlpo.types import Completion, Request

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Upper ends of the random wait, seconds, before the second try and before late ones; it doubles in between."""
HOPELESS = 32
"""Completions in a row given up after which it is the model that is dead, though its server speaks; and as many
forbidden after which it is the key."""


class ServerBackend:
    """Asks the model called `model` at `urls`."""

    def __init__(
        self,
        model: str,
        urls: Sequence[str],
        config: ServerConfig,
        *,
        check_alive: Callable[[], None] | None = None,
        proxied: bool = True,
    ) -> None:
        """A client of these servers.

        Args:
            check_alive: called after each failed try; raises DeadModelError if further ones are in vain.
            proxied: the environment's proxies hold, HTTP_PROXY and the like.
        Raises:
            ConfigError: the variable that should hold the API key is not set.
        """
        self._model = model
        self._urls = urls
        self._config = config
        self._proxied = proxied
        self._check_alive = check_alive or (lambda: None)
        self._secret = api_key(config.api_key_env)
        self._pool = LoadBalancer(urls)
        self._tls = httpx.create_ssl_context()  # slow to make, so made once
        self._samples = config.samples_per_request
        self._tell_entropy = True
        """Whether log-probabilities may be asked for."""
        self._answered = 0.0
        """When a server last answered anything, on the monotonic clock."""
        self._heard = 0.0
        """When one last spoke: with an answer, a refusal or an error of its own."""
        self._given_up = 0
        """Completions since the last answer that had none in their time."""
        self._forbidden = 0
        """And those answered with 403."""

    def check(self, requests: Iterable[Request]) -> None:
        """A server judges by itself what it can answer."""

    def generate(self, requests: Sequence[Request], on_answer: OnAnswer | None = None) -> list[Completion]:
        """Ask for everything, in the order given; what is refused or not answered in time comes back failed.

        Raises:
            DeadModelError: a completion's whole time passed in silence, or HOPELESS ones in a row had no answer.
            AllRefusedError: every request was refused, and none was ever answered.
            ConfigError: the servers refuse the key, want to be paid or do not know the model.
        """
        call = _Call(requests, on_answer)
        try:
            asyncio.run(self._answer(call))
        except ExceptionGroup as group:
            raise _first(group) from None
        if call.refusal and call.num_refused == len(requests) and not self._answered:
            raise AllRefusedError(
                f"{self._model}: {', '.join(self._urls)} refuses every request; mend model, sampling or "
                f"server.extra_body: {call.refusal}"
            )
        return [call.completions[place] for place in range(len(requests))]

    def close(self) -> None:
        """Connections end with each call."""

    async def _answer(self, call: _Call) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._config.concurrency, len(call.requests))):
                group.create_task(self._work(call))

    async def _work(self, call: _Call) -> None:
        """Answer group after group until none waits, one at a time.

        Each worker has its own client: one pool of connections for hundreds of requests under way scans them all for
        each, and loses those whose wait is cancelled.
        """
        headers = {"Authorization": f"Bearer {self._secret}"} if self._secret else {}
        # _try limits a try as a whole; what a client may wait for part by part is of no use
        async with httpx.AsyncClient(
            headers=headers,
            verify=self._tls,
            timeout=None,  # noqa: S113
            trust_env=self._proxied,
        ) as client:
            await self._answer_all(client, call)

    async def _answer_all(self, client: httpx.AsyncClient, call: _Call) -> None:
        while call.waiting:
            places = call.next_group(self._samples)
            request = call.requests[places[0]]
            if places[0] in call.plain or not self._tell_entropy:
                request = replace(request, sampling=replace(request.sampling, entropy=False))
            try:
                reply = await self._ask(client, request, len(places))
            except RefusedError as refusal:
                self._heard = time.monotonic()
                if len(places) > 1:
                    call.put_back_alone(places)  # perhaps it is n that is refused
                elif request.sampling.entropy:
                    call.put_back_plain(places[0])  # or log-probabilities
                else:
                    self._refuse(call, places[0], refusal)
            except TimeoutError as error:
                for place in places:
                    call.answer(place, failed(call.requests[place], str(error)))
            else:
                if places[0] in call.alone:
                    self._samples = 1  # it was
                if places[0] in call.plain:
                    self._tell_entropy = False  # they were
                call.put_back(places[len(reply.choices) :])  # a server may give fewer samples than asked for
                for choice, place in enumerate(places[: len(reply.choices)]):
                    call.answer(place, _completion(call.requests[place], reply, choice))

    def _refuse(self, call: _Call, place: int, refusal: RefusedError) -> None:
        """This request will never be answered, unless so many are forbidden that it must be the key."""
        call.refuse(place, str(refusal))
        self._forbidden += isinstance(refusal, ForbiddenError)
        if self._forbidden >= HOPELESS:
            raise ConfigError(
                f"{self._model}: {', '.join(self._urls)} refused the last {HOPELESS} requests, so perhaps the key; "
                f"name the variable that holds it in server.api_key_env: {refusal}"
            )

    async def _ask(self, client: httpx.AsyncClient, request: Request, num_samples: int) -> Reply:
        """Try until there is a reply.

        Raises:
            TimeoutError: there was none in `total_seconds`; the message says what failed last.
        """
        started, last = time.monotonic(), "no server took it"
        not_before: dict[str, float] = {}
        retries = AsyncRetrying(
            retry=retry_if_exception_type(TroubleError), wait=wait_random_exponential(FIRST_WAIT, LONGEST_WAIT)
        )
        try:
            async with asyncio.timeout(self._config.total_seconds):
                async for attempt in retries:
                    with attempt:
                        try:
                            return await self._try(client, request, num_samples, not_before)
                        except TroubleError as trouble:
                            last = str(trouble)
                            self._heard = time.monotonic() if trouble.alive else self._heard
                            self._check_alive()
                            raise
        except TimeoutError:
            pass
        reason = f"no answer from {', '.join(self._urls)} in {self._config.total_seconds:g} s; the last try: {last}"
        self._given_up += 1
        if self._heard < started or self._given_up >= HOPELESS:
            raise DeadModelError(f"{self._model}: {reason}")
        raise TimeoutError(reason)

    async def _try(
        self, client: httpx.AsyncClient, request: Request, num_samples: int, not_before: dict[str, float]
    ) -> Reply:
        body = body_of(request, self._model, num_samples, self._config.extra_body)
        async with self._pool.url(not_before) as url:
            try:
                async with asyncio.timeout(self._config.timeout_seconds):
                    response = await client.post(f"{url}/chat/completions", json=body)
            except TimeoutError:
                raise TroubleError(f"{url}: no reply in {self._config.timeout_seconds:g} s") from None
            except (httpx.TransportError, httpx.DecodingError) as error:
                raise TroubleError(f"{url}: {type(error).__name__} {error}") from None
            reply = read_reply(response, self._model, self._secret)
        self._answered = self._heard = time.monotonic()
        self._given_up = self._forbidden = 0
        return reply


class _Call:
    """The state of one `generate`: who waits, and what is answered. A request waits, is under way, or is answered."""

    def __init__(self, requests: Sequence[Request], on_answer: OnAnswer | None) -> None:
        self.requests = requests
        self.completions: dict[int, Completion] = {}
        self.num_refused = 0
        self.refusal = ""
        """The last refused one's reason."""
        self.alone: set[int] = set()
        """Places refused together with others, asked one at a time since."""
        self.plain: set[int] = set()
        """Places refused with log-probabilities, asked without since."""
        self._on_answer = on_answer
        alike: dict[object, list[int]] = {}
        for place, request in enumerate(requests):
            # greedy samples are one sample, and servers refuse to draw several
            alone = place if request.sampling.temperature == 0 else None
            alike.setdefault((request.messages, request.sampling, alone), []).append(place)
        self.waiting = deque(alike.values())

    def next_group(self, size: int) -> list[int]:
        """Up to `size` places that wait for samples of one prompt."""
        places = self.waiting.popleft()
        self.put_back(places[size:])
        return places[:size]

    def put_back(self, places: list[int]) -> None:
        """They wait again, at the front."""
        if places:
            self.waiting.appendleft(places)

    def put_back_alone(self, places: list[int]) -> None:
        """They wait again, at the front, each for a request of its own."""
        self.alone.update(places)
        self.waiting.extendleft([place] for place in reversed(places))

    def put_back_plain(self, place: int) -> None:
        """It waits again, at the front, to be asked without log-probabilities."""
        self.plain.add(place)
        self.waiting.appendleft([place])

    def refuse(self, place: int, reason: str) -> None:
        """This place will never have an answer."""
        self.num_refused += 1
        self.refusal = reason
        self.answer(place, failed(self.requests[place], reason))

    def answer(self, place: int, completion: Completion) -> None:
        """This place has its completion."""
        assert place not in self.completions, "answered twice"
        self.completions[place] = completion
        if self._on_answer is not None:
            self._on_answer(place, completion)


def api_key(variable: str | None) -> str | None:
    """The key in the environment variable of this name; None for no name.

    Raises:
        ConfigError: the variable is not set.
    """
    if variable is None:
        return None
    if not (key := os.environ.get(variable, "").strip()):
        raise ConfigError(
            f"server.api_key_env: the environment variable {variable} is not set; export it and run again"
        )
    return key


def _completion(request: Request, reply: Reply, choice: int) -> Completion:
    reason = reply.finish_reason(choice)
    if reason == "error":
        said = reply.choices[choice].finish_reason
        return failed(request, f"the server ended it with {said!r}", prompt_tokens=reply.usage.prompt_tokens)
    return Completion(
        problem_id=request.problem_id,
        model=request.model,
        text=reply.choices[choice].message.content or "",
        finish_reason=reason,
        prompt_tokens=reply.usage.prompt_tokens,
        completion_tokens=reply.completion_tokens(choice),
        sample=request.sample,
        passages=request.passages,
        entropy=reply.entropy(choice),
    )


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """The error that stopped the others."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error
