"""Formulas: read whole or not at all (`read.py`), given values (`value.py`), compared (`equal.py`)."""
