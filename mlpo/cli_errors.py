"""What ends a command: one line and an exit code for what a user can mend or wait for, a traceback for a defect."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from mlpo.exit_codes import INTERRUPTED, TRANSIENT, USER_MISTAKE


@contextmanager
def exit_codes() -> Iterator[None]:
    """A user's mistake is one line and 2, trouble that may pass is one line and 75; all else is a traceback and 1."""
    try:
        yield
    except KeyboardInterrupt:
        _leave("interrupted", INTERRUPTED)
    except Exception as error:
        from mlpo.inference.backend import TransientError
        from mlpo.tracking.connect import is_outage

        if isinstance(error, TransientError | ConnectionError) or is_outage(error):  # a model server, or MLflow's
            _leave(error, TRANSIENT)
        if isinstance(error, ValueError) and _is_ours(error):
            _leave(error, USER_MISTAKE)
        raise


def _is_ours(error: ValueError) -> bool:
    """Whether the error was raised by a line of mlpo, for a user to read, and not somewhere in a library."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return Path(frame.f_code.co_filename).is_relative_to(Path(__file__).parent)


def _leave(reason: object, code: int) -> NoReturn:
    print(f"mlpo: {' '.join(str(reason).split())}", file=sys.stderr)
    sys.exit(code)
