"""A process that runs a part's checks on a device: ``python -m msseg.checks.selftest.worker``.

See `run_check` for what it writes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from msseg.checks.selftest import loading, networks, operators, together
from msseg.checks.selftest.check import Bench, Check, run_check
from msseg.launch.job import Job, make_log_dir
from msseg.launch.spawn import JobPlan
from msseg.utils.device import setup_device, switch_off_compile_cache
from msseg.utils.dist import get_world_size, init_dist
from msseg.utils.target import ASCEND_910A, get_target

# By name: the checks, the type of floats, and whether float32 is multiplied as such.
PARTS: dict[str, tuple[Sequence[Check], str, bool]] = {
    'float32': ((*operators.CHECKS, *networks.IN_FLOAT32), 'float32', True),
    'float16': ((*operators.CHECKS, *networks.IN_FLOAT16), 'float16', False),
    'bfloat16': (networks.IN_BFLOAT16, 'bfloat16', False),
    'defaults': (networks.DEFAULTS, 'float32', False),
    'together': (together.CHECKS, 'float32', True),
    'loading': (loading.CHECKS, 'float32', False),
    'resumed': (loading.RESUMED, 'float32', False),
    'exported': (loading.EXPORTED, 'float32', True),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the checks of a part that come after those that were done; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('part', choices=PARTS)
    parser.add_argument('--device', required=True)
    parser.add_argument('--device-id', type=int)
    parser.add_argument('--folder', type=Path, required=True)
    parser.add_argument('--done', type=int, default=0)
    parser.add_argument('--processes', type=int, default=1)
    parser.add_argument('--launcher', default='none')
    words = list(sys.argv[1:] if argv is None else argv)
    args = parser.parse_args(words)
    if args.processes > 1 and args.launcher == 'none':
        program = ['-m', 'msseg.checks.selftest.worker']
        return Job(JobPlan(program, words, args.processes, make_log_dir(args.folder))).run()
    checks, dtype, is_exact = PARTS[args.part]
    settings = {'allow_hf32': False} if is_exact and args.device != 'CPU' else None
    setup_device(args.device, args.device_id, args.launcher, settings, deterministic=is_exact)
    init_dist(args.launcher)
    switch_off_compile_cache()
    in_half = dtype == 'float32' and get_target().chip == ASCEND_910A
    precision = 'float16' if in_half else dtype
    bench = Bench(args.device, dtype, args.folder, get_world_size(), precision)
    for check in checks[args.done :]:
        run_check(check, bench, args.folder / f'{args.part}.jsonl')
    return 0


if __name__ == '__main__':
    sys.exit(main())
