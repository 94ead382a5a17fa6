"""Strategies: generators that yield requests and are sent completions."""
