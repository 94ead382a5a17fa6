"""`mlpo serve`: open the champion, listen, and follow the alias `champion` in the registry (registry -> HTTP)."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from mlpo.config import ConfigError, Params, ServeConfig
from mlpo.inference.local import LocalModels
from mlpo.serving.app import make_app
from mlpo.serving.champion import Champion, ModelsFor, ServedPool, open_champion
from mlpo.serving.request_state import Listeners
from mlpo.serving.scheduler import Scheduler
from mlpo.tracking.connect import connect, store_of
from mlpo.tracking.registry import champion_of, model_id_of, version_folder
from mlpo.tracking.serving_traces import ServedTraces

LOG = logging.getLogger("mlpo.serving")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 30.0, 600.0
"""Before a version that can't be served is tried again. The pause doubles with every failure: a try is a download."""


def run(params: Params) -> None:
    """Serve until told to stop; questions under way are answered first.

    Raises:
        ConfigError: there is no champion, its team can't be had, the port is taken or the key is not set.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn passes it on when it has shut down
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    with listen(params.serve) as listener, service(params) as app:
        host, port = listener.getsockname()[:2]
        at = f"[{host}]" if ":" in host else host
        print(f"{app.title}: http://{at}:{port}/ is a page, http://{at}:{port}/v1 the API", flush=True)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=max(1, int(params.serve.max_seconds))
        )
        uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def listen(config: ServeConfig) -> Iterator[socket.socket]:
    """A socket that listens already, so that a port that is taken is told before models are loaded."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        listener = socket.create_server((config.host, config.port), family=family)
    except OSError as error:
        raise ConfigError(
            f"serve: {config.host}:{config.port} can't be listened at ({error.strerror}); name another --port or --host"
        ) from None
    with listener:
        yield listener


@contextmanager
def service(params: Params, models_for: ModelsFor | None = None) -> Iterator[FastAPI]:
    """The application with the champion loaded, and its thread and traces, which end with the block.

    Args:
        models_for: where models come from; by default this process.
    Raises:
        ConfigError: as `run`.
    """
    key = _key(params.serve)
    connection = connect()
    listeners = Listeners()
    source = models_for or (lambda on_text: LocalModels(params.runtime, on_text=on_text))

    def look_up() -> int | None:
        with store_of(connection):
            return champion_of(connection)

    def open_version(number: int) -> Champion:
        with store_of(connection):
            folder, model_id = version_folder(connection, number), model_id_of(connection, number)
        return open_champion(number, folder, model_id, params.runtime, source(listeners.hear))

    version = look_up()
    if version is None:
        raise ConfigError("no leader is champion yet; run the pipeline, or promote a version")
    scheduler = Scheduler(
        params.serve, ServedPool(source(None), max_loaded=params.runtime.max_loaded_models), listeners
    )
    try:
        champion = open_version(version)
        scheduler.seat(champion).result()
        title = f"leader version {version} with {', '.join(champion.agents)}"

        @asynccontextmanager
        async def follow(_: FastAPI) -> AsyncIterator[None]:
            following = asyncio.create_task(_follow(scheduler, look_up, open_version, params.serve.poll_seconds))
            try:
                yield
            finally:
                following.cancel()
                with suppress(asyncio.CancelledError):
                    await following

        with ServedTraces(connection, params.serve.trace_share) as traces:
            yield make_app(title, params.serve, scheduler, traces, key=key, lifespan=follow)
    finally:
        scheduler.close()


async def _follow(
    scheduler: Scheduler, look_up: Callable[[], int | None], open_version: Callable[[int], Champion], seconds: float
) -> None:
    """Whenever the alias moves, load its version and let it take new questions; what fails is told once."""
    told, patience = "", Patience()
    while True:
        await asyncio.sleep(seconds)
        version = None
        try:
            version = await asyncio.to_thread(look_up)
            serving = scheduler.champion.version if scheduler.champion else None
            if version is not None and version != serving:
                if not patience.allows(version, time.monotonic()):
                    continue
                await asyncio.wrap_future(scheduler.seat(await asyncio.to_thread(open_version, version)))
                print(f"leader version {version} has taken over from version {serving}", flush=True)
            told, patience = "", Patience()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the version in place serves on
            if version is not None:
                patience.failed(version, time.monotonic())
            if str(error) != told:
                told = str(error)
                LOG.warning("the new champion can't be served, so the one before goes on: %s", told)


@dataclass(slots=True)
class Patience:
    """When a version that could not be served may be tried again; another version may at once."""

    version: int | None = None
    pause: float = 0.0
    until: float = 0.0

    def allows(self, version: int, now: float) -> bool:
        """Whether to try it."""
        return version != self.version or now >= self.until

    def failed(self, version: int, now: float) -> None:
        """It could not be served, again or for the first time."""
        again = min(2 * self.pause, LONGEST_PAUSE_SECONDS)
        self.pause = again if version == self.version else FIRST_PAUSE_SECONDS
        self.version, self.until = version, now + self.pause


def _key(config: ServeConfig) -> str | None:
    if config.api_key_env is None:
        if config.host not in LOOPBACK:
            told = f"{config.host} is open to others and asks for no key; name one in serve.api_key_env"
            print(f"mlpo: {told}", file=sys.stderr)
        return None
    key = os.environ.get(config.api_key_env)
    if not key:
        raise ConfigError(
            f"serve.api_key_env: the environment variable {config.api_key_env} is not set; export it and start again"
        )
    return key
