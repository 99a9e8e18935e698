#!/usr/bin/env bash
# Inference outside of Python, and its scores: inputs to ./preprocess_Result, the network's outputs
# to ./result_Files with infer.log, scores to acc.log.
#
#   tools/deploy/run_cpp_infer.sh MODEL DATA DEVICE_TYPE DEVICE_ID [CONFIG [key=value ...]]
#
# MODEL is a .mindir, .ms or .onnx of tools/export.py, DATA the data set's folder, DEVICE_TYPE CPU,
# GPU or Ascend. CONFIG has the data set; its default is the config that MODEL.json names, which
# MODEL was exported from; key=value replaces its settings. MSSEG_INFER names the program (default:
# build/cpp/msseg_infer).
set -euo pipefail

if [ $# -lt 4 ]; then
    echo "error: expected $0 MODEL DATA DEVICE_TYPE DEVICE_ID [CONFIG [key=value ...]]" >&2
    exit 1
fi
model=$1 data=$2 device_type=$3 device_id=$4
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
config=${5:-}
if [ -z "$config" ]; then
    config=$(python -c 'import json, sys
print(json.load(open(sys.argv[1]))["origin"]["config"])' "$model.json" 2>/dev/null) || {
        echo "error: $model.json does not name the config: give it after DEVICE_ID" >&2
        exit 1
    }
fi
options=("data.test.data_root=$data" "${@:6}")
program=${MSSEG_INFER:-$root/build/cpp/msseg_infer}
if [ ! -x "$program" ]; then
    echo "error: there is no $program: build it (see docs/cpp.md), or set MSSEG_INFER" >&2
    exit 1
fi

# the last line of a log is what went wrong
run() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 || { tail -n 1 "$log" >&2; exit 1; }
}

python "$root/tools/deploy/preprocess.py" "$config" --out preprocess_Result \
    --cfg-options "${options[@]}"
run infer.log "$program" "$model" preprocess_Result --out result_Files \
    --device "$device_type" --device-id "$device_id"
tail -n 1 infer.log
run acc.log python "$root/tools/deploy/postprocess.py" "$config" --inputs preprocess_Result \
    --outputs result_Files --cfg-options "${options[@]}"
cat acc.log
