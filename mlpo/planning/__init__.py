"""The dry run: what a pipeline would ask, cost and fit."""
