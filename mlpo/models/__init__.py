"""Transformers made fast: load, sample, pack. Knows of token ids and nothing of teams."""
