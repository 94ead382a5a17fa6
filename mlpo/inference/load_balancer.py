"""Several servers of one model: each request goes to the least busy one, a dead one is left out and tried again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

FAILURES = 3
"""Failures in a row after which a server is left out, if another one is not."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds a server is left out; each further failure doubles them."""

JITTER = 0.2
"""Upper end of the random wait, seconds, that follows a Retry-After."""


class TroubleError(Exception):
    """A request failed in a way that may pass."""

    def __init__(self, reason: str, *, retry_after: float = 0.0, busy: bool = False, alive: bool = False) -> None:
        """A failure, and what it says of the server.

        Args:
            retry_after: seconds before which the server does not want it again.
            busy: it is well, and wants less.
            alive: the model's own server spoke, though it may be this request that it stumbles over.
        """
        super().__init__(reason)
        self.retry_after = retry_after
        self.busy = busy
        self.alive = alive


@dataclass
class _Server:
    url: str
    under_way: int = 0
    served: int = 0
    failures: int = 0
    out_until: float = 0.0
    """Left out until then; afterwards one request at a time tries it."""

    def is_well(self, now: float) -> bool:
        return self.failures < FAILURES or (now >= self.out_until and not self.under_way)


class LoadBalancer:
    """Hands out URLs. Times are the monotonic clock's."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._servers = [_Server(url.rstrip("/")) for url in urls]

    @asynccontextmanager
    async def url(self, not_before: dict[str, float]) -> AsyncIterator[str]:
        """The URL to send a request to; the block says by `TroubleError` that it failed.

        Args:
            not_before: URL -> when it takes this request again, filled from servers' Retry-After; one per request.
        """
        server = await self._choose(not_before)
        server.under_way += 1
        server.served += 1
        try:
            yield server.url
        except TroubleError as trouble:
            if trouble.retry_after:
                not_before[server.url] = time.monotonic() + trouble.retry_after
            if not trouble.busy:
                self._failed(server)
            raise
        else:
            server.failures = 0
        finally:
            server.under_way -= 1

    async def _choose(self, not_before: Mapping[str, float]) -> _Server:
        while True:
            now = time.monotonic()
            if taking := [server for server in self._servers if now >= not_before.get(server.url, 0.0)]:
                well = [server for server in taking if server.is_well(now)]
                # if all are left out, being idle helps nobody: the requests' own back-off spares them
                return min(well or taking, key=lambda server: (server.under_way, server.served))
            # somewhat later, and not all that wait at once
            await asyncio.sleep(min(not_before.values()) - now + random.uniform(0, JITTER))

    @staticmethod
    def _failed(server: _Server) -> None:
        server.failures += 1
        doublings = min(max(server.failures - FAILURES, 0), 10)
        server.out_until = time.monotonic() + min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)
