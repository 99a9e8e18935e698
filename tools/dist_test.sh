#!/usr/bin/env bash
# Test on several cards: tools/dist_test.sh CONFIG CHECKPOINT NUM [options of tools/test.py]
# Several machines: NNODES, NODE_RANK, MASTER_ADDR and PORT in the environment, on each of them.
exec "${PYTHON:-python}" "$(dirname "${BASH_SOURCE[0]}")/dist_run.py" test "$@"
