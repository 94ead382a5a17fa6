"""The exit codes of a command, by which whoever started it knows whether to try again; all else that fails is 1."""

from __future__ import annotations

USER_MISTAKE = 2
"""A person must mend something: a parameter or a file is wrong."""
TRANSIENT = 75
"""The same may succeed if it is tried again (EX_TEMPFAIL): a server was down, an engine died."""
INTERRUPTED = 130
"""A person stopped it: 128 + SIGINT."""
