"""Whether a layer may leave work to numpy."""

from __future__ import annotations

import os

import mindspore as ms


def host_functions_work() -> bool:
    """Return whether graphs may call Python functions (``ops.Custom``, ``'pyfunc'``).

    They may on the CPU, unless the compile cache is on: it keeps graphs, but not the functions
    that they call, and a later run fails (MindSpore 2.8).
    """
    cached = os.environ.get('MS_COMPILER_CACHE_ENABLE') == '1'
    cached = cached or bool(ms.get_context('enable_compile_cache'))
    return ms.get_context('device_target') == 'CPU' and not cached
