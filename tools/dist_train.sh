#!/usr/bin/env bash
# Train on several cards: tools/dist_train.sh CONFIG NUM [options of tools/train.py]
# Several machines: NNODES, NODE_RANK, MASTER_ADDR and PORT in the environment, on each of them.
exec "${PYTHON:-python}" "$(dirname "${BASH_SOURCE[0]}")/dist_run.py" train "$@"
