"""Processes and where they run: groups, sessions, signals, worktrees."""
