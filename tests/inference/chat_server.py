"""A scripted OpenAI-compatible server on the loopback: real HTTP, real sockets, and every way a server can fail.

It runs in a thread (`with ChatServer() as server: server.url`) or as a program with the arguments of `vllm serve`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

Body = dict[str, Any]
FAULTS = ("error_500", "error_503", "busy", "hang", "cut_body", "cut_head", "garbage", "other_json", "not_http")


def echo(body: Body) -> str:
    """A reply that says what was asked."""
    return f"{body['messages'][-1]['content']} seed {body.get('seed')}"


def well(body: Body, attempt: int) -> str:
    """Every request is answered."""
    return "answer"


class ChatServer:
    """Answers by `reply(body)`; `fault(body, attempt)` says what happens to the attempt-th try of equal requests.

    `probs` are told of each token's likeliest alternatives where a request asks for log-probabilities.
    """

    def __init__(
        self,
        *,
        reply: Callable[[Body], str] = echo,
        fault: Callable[[Body, int], str] = well,
        max_samples: int = 128,
        probs: tuple[tuple[float, ...], ...] = (),
        port: int = 0,
    ) -> None:
        self.answered: Counter[str] = Counter()
        """Whole answers sent, by the JSON of the request."""
        self.attempts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.headers: list[str] = []
        self.under_way = self.most_under_way = 0
        self._reply, self._fault, self._max_samples = reply, fault, max_samples
        self._probs = probs
        self._port = port
        self._connections = set[asyncio.Task[None]]()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self.serve())
        self._loop.close()

    async def serve(self) -> None:
        """Serve until told to stop."""
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", self._port, backlog=1024)
        self._port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        for listening in server.sockets:
            self._loop.remove_reader(listening.fileno())
        # Who is just being accepted is let in before the server closes: else nobody would close that socket.
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in self._connections & others:
                task.cancel()
            await asyncio.wait(others, timeout=0.1)
        server.close()
        await asyncio.sleep(0)  # a closed connection lets go of its socket in the loop's next turn

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                length = next((int(x[15:]) for x in head.split("\r\n") if x.lower().startswith("content-length:")), 0)
                content = await reader.readexactly(length)
                self.under_way += 1
                self.most_under_way = max(self.most_under_way, self.under_way)
                try:
                    if not await self._answer(head, content, reader, writer):
                        break
                finally:
                    self.under_way -= 1
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client closed it, or the test is over
        finally:
            writer.close()

    async def _answer(
        self, head: str, content: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Send an answer or play a fault; False closes the connection."""
        if not content:
            await _send(writer, 200 if head.startswith("GET /health") else 404, b"{}")
            return True
        self.headers.append(head)
        key, body = content.decode(), json.loads(content)
        self.attempts[key] += 1
        what = self._fault(body, self.attempts[key])
        self.faults[what] += 1
        if what == "hang":
            await reader.read()
            return False
        if what in ("slow", "drip"):
            await asyncio.sleep(0.2)
        whole = json.dumps(_odd(what, self._completion(body))).encode()
        if what == "not_http":
            writer.write(b"\x00\xff what is HTTP?\r\n\r\n")
            await writer.drain()
            return False
        if what.startswith("cut"):
            writer.write((_head(200, len(whole)) + whole)[: 20 if what == "cut_head" else -20])
            await writer.drain()
            return False
        if what == "drip":  # a byte now and then: no read ever times out
            writer.write(_head(200, 10**6))
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
            return False
        status, payload, more = _faulty(what, head, body, self._max_samples)
        if status == 200 and payload is None:
            self.answered[key] += 1
        await _send(writer, status, whole if payload is None else payload, more)
        return True

    def _completion(self, body: Body) -> Body:
        samples = min(body.get("n", 1), self._max_samples)
        texts = [self._reply(body) + (f" sample {i}" if i else "") for i in range(samples)]
        for stop in body.get("stop", ()):
            texts = [text.split(stop)[0] for text in texts]
        limit = body["max_tokens"]
        reasons = ["length" if len(text.split()) > limit else "stop" for text in texts]
        texts = [" ".join(text.split(" ")[:limit]) for text in texts]
        choices = [
            {"index": i, "message": {"content": text}, "finish_reason": reason}
            for i, (text, reason) in enumerate(zip(texts, reasons, strict=True))
        ]
        if body.get("logprobs") and self._probs:
            for choice in choices:
                choice["logprobs"] = {"content": [_told(probs) for probs in self._probs]}
        words = sum(len(m["content"].split()) for m in body["messages"])
        usage = {"prompt_tokens": words, "completion_tokens": sum(len(t.split()) for t in texts)}
        return {"object": "chat.completion", "model": body["model"], "choices": choices, "usage": usage}


def _told(probs: tuple[float, ...]) -> Body:
    """A token as its server tells it; one that is as good as impossible has the -9999 of OpenAI."""
    top = [{"token": f"t{i}", "logprob": math.log(p) if p else -9999.0} for i, p in enumerate(probs)]
    return top[0] | {"top_logprobs": top}


def _odd(what: str, completion: Body) -> Body:
    """The completion, written as some servers do."""
    choice = completion["choices"][0]
    if what == "no_usage":
        completion["usage"] = None
    elif what == "null_counts":
        completion["usage"] = dict.fromkeys(completion["usage"])
    elif what == "null_reason":
        choice["finish_reason"] = None
    elif what == "parts":
        first, rest = choice["message"]["content"].split(" ", 1)
        thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
        choice["message"]["content"] = [thought, *({"type": "text", "text": t} for t in (first, " " + rest))]
    return completion


def _faulty(what: str, head: str, body: Body, max_samples: int) -> tuple[int, bytes | None, str]:
    """Status, payload (None is the right one) and more headers."""
    if what.startswith("error_"):
        # a rude server: it quotes the key
        return int(what.removeprefix("error_")), json.dumps({"error": f"as asked for by {head}"}).encode(), ""
    if what.startswith("busy"):
        return 429, b'{"error": "slow down"}', f"Retry-After: {what.removeprefix('busy') or 1}\r\n"
    if what == "no_samples" and body.get("n", 1) > 1:
        return 400, b'{"error": "n must be 1"}', ""
    if what == "no_logprobs" and "logprobs" in body:
        return 403, b'{"error": "You are not allowed to request logprobs from this model"}', ""
    return 200, {"garbage": b"<html>\xff\xfe</html>", "other_json": b'{"choices": []}'}.get(what), ""


def _head(status: int, length: int, more: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{more}Content-Length: {length}\r\n\r\n".encode()


async def _send(writer: asyncio.StreamWriter, status: int, payload: bytes, more: str = "") -> None:
    writer.write(_head(status, len(payload), more) + payload)
    await writer.drain()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    asyncio.run(ChatServer(port=parser.parse_known_args()[0].port).serve())
