"""Thin adapters over TRL's trainers: the warm start and MLPO, resumable at any step, bit for bit."""
