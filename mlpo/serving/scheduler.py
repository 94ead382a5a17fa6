"""One thread owns the models: questions join and leave between the steps of a lockstep, in one batch a model.

A version of the leader has its own lockstep. Questions stay with the version they were taken with, so after a switch
the old one plays on until its last question has ended, and is let go then.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from concurrent.futures import Future

from mlpo.config import ServeConfig
from mlpo.inference.runner import Lockstep
from mlpo.serving.champion import Champion, ServedPool, seat_team
from mlpo.serving.events import Refused
from mlpo.serving.request_state import Listeners, RequestState, watched

LOG = logging.getLogger("mlpo.serving")


class BusyError(RuntimeError):
    """As many questions wait as may wait."""


class _Table:
    """A version of the leader with the questions it is playing."""

    def __init__(self, champion: Champion) -> None:
        self.champion = champion
        self.tickets: dict[int, RequestState] = {}
        self.lockstep = Lockstep(champion.backends)


class Scheduler:
    """Takes questions from any thread and plays them on its own."""

    def __init__(self, config: ServeConfig, team_models: ServedPool, listeners: Listeners) -> None:
        self._config = config
        self._team_models = team_models
        self._listeners = listeners
        self._news = threading.Condition()
        self._waiting: deque[tuple[RequestState, Champion]] = deque()
        self._arriving: deque[tuple[Champion, Future[None]]] = deque()
        self._tables: list[_Table] = []
        self._champion: Champion | None = None
        self._closed = False
        self._number = 0
        self._thread = threading.Thread(target=self._work, name="mlpo-models", daemon=True)
        self._thread.start()

    @property
    def champion(self) -> Champion | None:
        """The version that new questions are played with."""
        return self._champion

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def num_waiting(self) -> int:
        """Questions that were not begun yet and that somebody still waits for."""
        with self._news:
            return sum(not request_state.left for request_state, _ in self._waiting)

    @property
    def num_running(self) -> int:
        """Questions that are being played."""
        return sum(len(table.tickets) for table in self._tables)

    def seat(self, champion: Champion) -> Future[None]:
        """Let new questions be played with `champion` once its team is ready; fails as `seat_team` does."""
        seated: Future[None] = Future()
        with self._news:
            self._arriving.append((champion, seated))
            self._news.notify()
        return seated

    def take(self, request_state: RequestState) -> Champion:
        """Take a question; the version that will answer it.

        Raises:
            BusyError: as many wait as may wait.
        """
        with self._news:
            if len(self._waiting) >= self._config.max_waiting:
                self._waiting = deque(pair for pair in self._waiting if not pair[0].left)
            if len(self._waiting) >= self._config.max_waiting or self._champion is None:
                raise BusyError
            self._waiting.append((request_state, self._champion))
            self._news.notify()
            return self._champion

    def close(self) -> None:
        """End the thread after its current step; what is unanswered stays so."""
        with self._news:
            self._closed = True
            self._news.notify()
        self._thread.join()

    def _work(self) -> None:
        while self._wait():
            self._seat_arrivals()
            self._begin_waiting()
            for table in list(self._tables):
                self._step(table)
            self._let_go()
        for table in self._tables:
            table.champion.close()
        self._team_models.close()

    def _wait(self) -> bool:
        """Wait for something to do; False when there will be nothing more."""
        with self._news:
            self._news.wait_for(lambda: self._closed or self._waiting or self._arriving or self.num_running)
            return not self._closed

    def _seat_arrivals(self) -> None:
        while self._arriving:
            champion, seated = self._arriving.popleft()
            try:
                seat_team(champion, self._team_models, self._config)
            except Exception as error:  # noqa: BLE001 - told to who seats it; the one before goes on
                champion.close()
                seated.set_exception(error)
                continue
            self._tables.append(_Table(champion))
            self._champion = champion
            seated.set_result(None)

    def _begin_waiting(self) -> None:
        while self.num_running < self._config.max_running:
            with self._news:
                if not self._waiting:
                    return
                request_state, champion = self._waiting.popleft()
            if not request_state.left:
                self._begin(request_state, next(table for table in self._tables if table.champion is champion))

    def _begin(self, request_state: RequestState, table: _Table) -> None:
        champion = table.champion
        run = champion.run(request_state.question)
        told = watched(request_state, run, champion.backends, self._listeners, max_dead=self._config.max_dead_agents)
        self._number += 1
        try:
            ended = table.lockstep.add(self._number, told)
        except Exception as error:
            LOG.exception("a question could not begin")
            request_state.tell(_failure(error))
            return
        if ended is None:
            table.tickets[self._number] = request_state

    def _step(self, table: _Table) -> None:
        for number in [number for number, request_state in table.tickets.items() if request_state.left]:
            del table.tickets[number]
            table.lockstep.drop(number)
        if not table.tickets:
            return
        try:
            ended = table.lockstep.step()
        except Exception as error:  # noqa: BLE001 - a batch that failed takes its questions with it, not the server
            self._fail(table, error)
            return
        finally:
            table.champion.model_pool.forget()
            self._team_models.forget()
        for number in ended:
            del table.tickets[number]

    def _fail(self, table: _Table, error: Exception) -> None:
        LOG.error("%d questions failed", len(table.tickets), exc_info=error)
        for request_state in table.tickets.values():
            request_state.tell(_failure(error))
        table.tickets.clear()
        table.lockstep = Lockstep(table.champion.backends)

    def _let_go(self) -> None:
        """Close versions that are neither champion nor wanted by a question."""
        with self._news:
            wanted = {id(champion) for _, champion in self._waiting} | {id(self._champion)}
        for table in [t for t in self._tables if not t.tickets and id(t.champion) not in wanted]:
            self._tables.remove(table)
            table.champion.close()


def _failure(error: Exception) -> Refused:
    return Refused(500, "models_failed", f"the models failed: {error}; try again, and see the server's log")
