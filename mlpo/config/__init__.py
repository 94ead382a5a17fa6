"""What a user may set: one frozen section per stage of params.yaml, each field with its meaning, unit and range."""

from mlpo.config.consult import ConsultConfig
from mlpo.config.models import (
    HOSTILE,
    AgentConfig,
    LeaderConfig,
    ReferenceConfig,
    SamplingConfig,
    ServerConfig,
    check_urls,
)
from mlpo.config.params import Params, RoundsConfig, load_params, parse_params, raw_params
from mlpo.config.results import RIVALS, EvaluateConfig, RegisterConfig, ServeConfig
from mlpo.config.rows import ALL_FAMILIES, DemonstrateConfig, PrepareConfig, ProposeConfig
from mlpo.config.runtime import RayConfig, RuntimeConfig
from mlpo.config.section import ConfigError, Section, digest, effective
from mlpo.config.training import LoraConfig, TrainMlpoConfig, TrainSftConfig

__all__ = [
    "ALL_FAMILIES",
    "HOSTILE",
    "RIVALS",
    "AgentConfig",
    "ConfigError",
    "ConsultConfig",
    "DemonstrateConfig",
    "EvaluateConfig",
    "LeaderConfig",
    "LoraConfig",
    "Params",
    "PrepareConfig",
    "ProposeConfig",
    "RayConfig",
    "ReferenceConfig",
    "RegisterConfig",
    "RoundsConfig",
    "RuntimeConfig",
    "SamplingConfig",
    "Section",
    "ServeConfig",
    "ServerConfig",
    "TrainMlpoConfig",
    "TrainSftConfig",
    "check_urls",
    "digest",
    "effective",
    "load_params",
    "parse_params",
    "raw_params",
]
