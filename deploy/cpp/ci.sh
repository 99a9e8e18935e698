#!/usr/bin/env bash
# Builds msseg_infer for the tests: build/cpp with OpenCV's dnn from the distribution's packages,
# build/cpp-asan the same with the sanitizers of addresses and of undefined behaviour, build/cpp-lite
# also with MindSpore Lite from its wheel. What cannot be installed or downloaded is said, and the
# tests that need it are skipped; what does not compile is an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

packages=(cmake g++ libopencv-dev libpng-dev nlohmann-json3-dev)
lite_version=2.0.0
lite=build/mindspore-lite-$lite_version

build() {
    local folder=$1
    shift
    cmake -S deploy/cpp -B "$folder" -DCMAKE_CXX_FLAGS=-Werror "$@" >/dev/null
    cmake --build "$folder" --parallel "${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}"
}

# The wheel is made for CPython 3.7, but its headers and libraries are for anyone.
unpack_lite() {
    local wheels=build/wheels
    python3 -m pip --disable-pip-version-check download -q "mindspore-lite==$lite_version" \
        --no-deps --python-version 37 --only-binary :all: --dest "$wheels" &&
        python3 -m zipfile -e "$wheels"/mindspore_lite-"$lite_version"-*.whl "$lite.part" &&
        rm -r "$wheels" && mv "$lite.part" "$lite"
}

is_installed() { dpkg -s "${packages[@]}" >/dev/null 2>&1; }
if ! is_installed && command -v apt-get >/dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends "${packages[@]}"; } \
        >/dev/null 2>&1 || true
fi
if ! is_installed; then
    echo "${packages[*]} could not be installed: tests of the C++ program are skipped"
    exit 0
fi
build build/cpp
build build/cpp-asan -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DCMAKE_CXX_FLAGS='-fsanitize=address,undefined -fno-sanitize-recover=all'

if [ ! -d "$lite" ]; then
    rm -rf "$lite.part"
    unpack_lite >/dev/null 2>&1 || {
        echo 'MindSpore Lite could not be downloaded: tests of the C++ program with it are skipped'
        exit 0
    }
fi
build build/cpp-lite -DMINDSPORE_LITE_ROOT="$PWD/$lite/mindspore_lite"
