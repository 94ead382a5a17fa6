"""A study: variants of the parameters with every seed, as tables."""
