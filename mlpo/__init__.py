"""MLPO: train a leader LLM over a team of untrained agents."""
