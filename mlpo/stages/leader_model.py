"""What MLflow runs where a registered leader is loaded as a function: its team's rounds. Logged with it, as code.

`register` copies this file into the version; there its folder is the version's.
"""

from __future__ import annotations

from pathlib import Path

from mlpo.leader import serve_registered

serve_registered(Path(__file__).parent)
