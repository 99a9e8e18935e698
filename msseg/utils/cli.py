"""The frame of every command line: users' mistakes end in one line and exit status 1."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

# What the package raises for users' mistakes (OSError covers missing and unwritable files).
USER_ERRORS = (
    ValueError,
    KeyError,
    TypeError,
    OSError,
    ImportError,
    FloatingPointError,
)


def run_main(main: Callable[[], object]) -> None:
    """Run a command line's `main` and end the process.

    Exit status 0, 1 after a user's mistake (one line on stderr; the traceback too when the
    environment variable ``MSSEG_DEBUG`` is ``1``), 130 after Ctrl-C. Any other exception is a bug
    of ours and keeps its traceback.

    Args:
        main: The command, which takes no arguments.
    """
    try:
        main()
    except USER_ERRORS as error:
        if os.environ.get('MSSEG_DEBUG') == '1':
            raise
        print(f'error: {one_line(error)}', file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        sys.exit(130)


def one_line(error: BaseException) -> str:
    """Return an exception's message on one line, without KeyError's quotes."""
    bare_key = isinstance(error, KeyError) and len(error.args) == 1
    message = str(error.args[0]) if bare_key else str(error)
    return ' '.join(message.split()) or type(error).__name__
