"""When the trained leader is unsure: the file data/calibration/consult.json, and its copy in a registered version."""

from __future__ import annotations

import json
from pathlib import Path

from mlpo.config import ConfigError, Params
from mlpo.files import write_json_atomic
from mlpo.layout import CONSULT_POLICY
from mlpo.method.consult_policy import ConsultPolicy


def write_policy(policy: ConsultPolicy | None, path: Path = CONSULT_POLICY) -> None:
    """Write the policy with the basis it was measured on; null where there were no calibration problems."""
    write_json_atomic(path, policy.to_json() if policy else None)


def read_policy(params: Params, path: Path = CONSULT_POLICY) -> ConsultPolicy | None:
    """The policy that these parameters need; None where they need none.

    Raises:
        ConfigError: it is missing, is no policy, or was measured by another signal than `consult.samples` says.
    """
    if not params.is_selective:
        return None
    if not path.is_file():
        raise ConfigError(
            f"{path}: missing, so nobody knows when the leader is unsure; run `mlpo calibrate`, or set consult.when "
            "and rounds.continue to always"
        )
    policy = kept_policy(path)
    if policy is None:
        raise ConfigError(
            f"{path}: no policy, since there were no calibration problems; raise prepare.num_calibration, or set "
            "consult.when and rounds.continue to always"
        )
    if policy.num_samples != params.consult.samples:
        raise ConfigError(
            f"{path}: measured with {policy.num_samples} further samples, consult.samples is {params.consult.samples}; "
            "calibrate again"
        )
    if bool(policy.partial) != (params.consult.one_by_one and len(params.team) > 1):
        raise ConfigError(
            f"{path}: measured on agents asked {'one by one' if policy.partial else 'together'}, consult.one_by_one is "
            f"{str(params.consult.one_by_one).lower()}; calibrate again"
        )
    return policy


def kept_policy(path: Path = CONSULT_POLICY) -> ConsultPolicy | None:
    """The policy that was measured, whether it is followed or not; None where there is none.

    Raises:
        ConfigError: the file is no policy.
    """
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return None if document is None else ConsultPolicy.from_json(document)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; delete it and calibrate again") from None
