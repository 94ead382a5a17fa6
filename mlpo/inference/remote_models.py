"""Models behind servers: what they are called in the store, and how they are reached."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

from mlpo.config import ConfigError, ServerConfig, check_urls, digest
from mlpo.inference.backend import Backend
from mlpo.inference.openai_client import ServerBackend
from mlpo.inference.vllm_server import VllmBackend
from mlpo.models.embedded import model_source
from mlpo.models.ends import named_end_token_ids
from mlpo.models.identity import model_identity


@dataclass(frozen=True)
class RemoteModels:
    """Models that one `server` section answers for."""

    config: ServerConfig

    def identity(self, model: str, revision: str | None) -> str:
        """The model's name and what changes its answers, never a URL; weights that lie here are named by content."""
        options = digest({"args": self.config.vllm_args, "body": self.config.extra_body})
        if self.config.serve is not None:
            return f"vllm:{model_identity(model, revision)}:{options}"
        return f"server:{model}@{revision or ''}:{options}"

    def open(self, model: str, revision: str | None) -> Backend:
        """Connect to the servers, or start vLLM and wait for it.

        Raises:
            ConfigError: a variable of the environment is missing, or vLLM can not run the model.
        """
        if self.config.serve is None:
            return ServerBackend(model, server_urls(self.config), self.config)
        source = model_source(model)
        return VllmBackend(model, source, revision, self._stopping_at(named_end_token_ids(source, revision)))

    def _stopping_at(self, ends: Collection[int]) -> ServerConfig:
        """vLLM is told not to look into a model's generation config, and so knows the tokenizer's end token alone."""
        body = ({"stop_token_ids": sorted(ends)} if ends else {}) | self.config.extra_body
        return self.config.model_copy(update={"extra_body": body})


def server_urls(config: ServerConfig) -> tuple[str, ...]:
    """The servers' URLs, from the parameters or from the environment variable they name.

    Raises:
        ConfigError: the variable is not set, or holds something else.
    """
    if config.urls_env is None:
        return config.urls
    urls = tuple(url.strip() for url in os.environ.get(config.urls_env, "").split(",") if url.strip())
    try:
        check_urls(urls)
    except ValueError as error:
        raise ConfigError(f"environment variable {config.urls_env}: {error}") from None
    if not urls:
        raise ConfigError(
            f"server.urls_env: the environment variable {config.urls_env} is not set; "
            f"export {config.urls_env}=http://host:port/v1 and run again"
        )
    return urls
