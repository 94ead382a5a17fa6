"""Where a leader comes from: its base model's name on the Hugging Face hub, and its licence."""

from __future__ import annotations

ORIGINS = {"embedded": "HuggingFaceTB/SmolLM2-135M-Instruct"}
"""The hub's name of a base model that has another one here."""
LICENCES = {"embedded": "apache-2.0"}
"""By base model; another model's licence is what its own card says."""


def licence_of(base_model: str) -> str:
    """The licence in the hub's word for it."""
    return LICENCES.get(base_model, "other")
