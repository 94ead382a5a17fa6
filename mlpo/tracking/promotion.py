"""The way to `champion` and back: the gate decides or a person insists, and every decision is on record."""

from __future__ import annotations

from dataclasses import replace

from mlpo.config import ConfigError, EvaluateConfig, RegisterConfig
from mlpo.tracking.connect import Connection, connect, exclusive
from mlpo.tracking.decisions import NAME, Decision, now, record, who
from mlpo.tracking.evaluations import evaluations_of
from mlpo.tracking.gate import Verdict, judge
from mlpo.tracking.registry import CHAMPION, PREVIOUS, aliases, champion_of, get_version


def promote(
    version: int,
    *,
    gate: RegisterConfig | None = None,
    evaluate: EvaluateConfig | None = None,
    seed: int = 0,
    force: bool = False,
    reason: str | None = None,
    agreed: Decision | None = None,
) -> Decision:
    """Make `version` the champion if it clears the gate, or with `force` and a reason in any case.

    The champion until now becomes `previous`. The decision, also a refusal, is recorded on both versions.
    Other machines may promote too: if the champion has changed meanwhile, the gate looks again.

    Args:
        agreed: what `consider` said and a person agreed to; if another version is champion by now, it is refused.
    Raises:
        ConfigError: no such version, or force without a reason.
    """
    connection = connect()
    with exclusive():
        decision = _decide(connection, version, gate, evaluate, seed, force=force, reason=reason)
        while decision.promoted and champion_of(connection) != decision.champion:  # another machine was faster
            decision = _decide(connection, version, gate, evaluate, seed, force=force, reason=reason)
        if agreed and decision.promoted and decision.champion != agreed.champion:
            why = f"version {decision.champion} became champion while a person was asked; promote again to ask anew"
            decision = replace(decision, promoted=False, reason=why)
        if decision.promoted:
            _crown(connection, version, decision.champion)
        if decision.champion != version:
            record(connection, decision)
    return decision


def consider(
    version: int,
    *,
    gate: RegisterConfig | None = None,
    evaluate: EvaluateConfig | None = None,
    seed: int = 0,
    force: bool = False,
    reason: str | None = None,
) -> Decision:
    """What `promote` would decide, with every figure; nothing is changed or recorded.

    Raises:
        ConfigError: as `promote`.
    """
    connection = connect()
    with exclusive():
        return _decide(connection, version, gate, evaluate, seed, force=force, reason=reason)


def refuse(considered: Decision, reason: str) -> Decision:
    """Record that a person, or their silence, refused what would have been promoted."""
    decision = replace(considered, promoted=False, forced=False, reason=reason, by=who(), at=now())
    connection = connect()
    with exclusive():
        record(connection, decision)
    return decision


def rollback(reason: str | None = None) -> Decision:
    """Make `previous` the champion again; the two swap, so that a second rollback undoes the first.

    Raises:
        ConfigError: there is no previous champion.
    """
    connection = connect()
    with exclusive():
        known = aliases(connection)
        if PREVIOUS not in known:
            raise ConfigError("there is no previous champion to roll back to")
        version, champion = known[PREVIOUS], known.get(CHAMPION)
        why = f"rolled back from version {champion}" + (f": {reason.strip()}" if reason else "")
        decision = Decision(version, promoted=True, reason=why, champion=champion)
        _crown(connection, version, champion)
        record(connection, decision)
    return decision


def _decide(
    connection: Connection,
    version: int,
    gate: RegisterConfig | None,
    evaluate: EvaluateConfig | None,
    seed: int,
    *,
    force: bool,
    reason: str | None,
) -> Decision:
    said = (reason or "").strip()
    if force and not said:
        raise ConfigError("a forced promotion needs a reason (--reason); it is recorded with the decision")
    get_version(connection, version)
    champion = champion_of(connection)
    verdict = _verdict(connection, version, champion, gate or RegisterConfig(), evaluate or EvaluateConfig(), seed)
    why = f"forced: {said} (the gate: {verdict.reason})" if force else verdict.reason
    return Decision(
        version,
        promoted=(force or verdict.clears) and champion != version,
        reason=why if force or not said else f"{why} ({said})",
        champion=champion,
        comparison=verdict.comparison,
        forced=force,
    )


def _verdict(
    connection: Connection,
    version: int,
    champion: int | None,
    gate: RegisterConfig,
    evaluate: EvaluateConfig,
    seed: int,
) -> Verdict:
    if champion == version:
        return Verdict(clears=True, reason="it is the champion already")
    ours = evaluations_of(connection, version)
    if not ours:
        return Verdict(clears=False, reason="it carries no evaluation")
    if champion is None:
        return Verdict(clears=True, reason="there is no champion yet")
    theirs = evaluations_of(connection, champion)
    if not theirs:
        return Verdict(clears=False, reason=f"the champion, version {champion}, carries no evaluation")
    verdict = judge(ours, theirs, gate, evaluate, seed=seed)
    if verdict.comparison is None:
        again = f"run `mlpo evaluate --leader {champion}` where version {version} was evaluated, then promote again"
        return Verdict(clears=False, reason=f"{verdict.reason}; {again}")
    return verdict


def _crown(connection: Connection, version: int, champion: int | None) -> None:
    """Move the aliases: first `previous`, so that a crash in between leaves a champion."""
    if champion is not None and champion != version:
        connection.client.set_registered_model_alias(NAME, PREVIOUS, str(champion))
    connection.client.set_registered_model_alias(NAME, CHAMPION, str(version))
