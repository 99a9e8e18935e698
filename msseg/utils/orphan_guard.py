"""Ending a rank whose launcher is gone."""

from __future__ import annotations

import os
import signal
import threading
import time

LAUNCHER_VARIABLE = 'MSSEG_LAUNCHER'
_LOOK_EVERY_S = 2.0


def end_with_launcher() -> None:
    """Let this process stop, as after SIGTERM, when the one that started the job was killed.

    Otherwise the ranks of a job would go on unseen. Without a launcher nothing is done.
    """
    launcher = os.environ.get(LAUNCHER_VARIABLE)
    if launcher is not None:
        thread = threading.Thread(target=_watch, args=(int(launcher),), daemon=True)
        thread.start()


def _watch(launcher: int) -> None:
    while True:
        time.sleep(_LOOK_EVERY_S)
        try:
            os.kill(launcher, 0)
        except ProcessLookupError:
            os.kill(os.getpid(), signal.SIGTERM)
            return
