"""Logits at chosen positions are the model's own, whatever it does to them."""

from __future__ import annotations

from typing import Any

import torch

from mlpo.models.lm_head import predictions
from mlpo.models.load import LoadedModel


def test_predictions_are_the_models_own_logits(scaling: LoadedModel) -> None:
    ids = torch.tensor([[5, 60, 7, 33]])
    backbone: Any = scaling.model.base_model
    with torch.no_grad():
        own = scaling.model(ids).logits[0]
        found = predictions(scaling.model, backbone(ids).last_hidden_state[0])
    torch.testing.assert_close(found, own)
    assert own.std() > 0.1  # a scale that is lost would show
