"""The checkout in which these tests run."""

from __future__ import annotations

from tests.checkout import house, params, raw_params

__all__ = ["house", "params", "raw_params"]
