#!/usr/bin/env bash
# Builds, tests and measures deblai in one call on a machine with a CUDA device, without network or git:
#   bench/gpu.sh [COMMIT]      (or DEBLAI_COMMIT; python3 needs scikit-build-core, pybind11, nanobind, ninja, pytest)
# Takes DEBLAI_GPU_SECONDS (default 560) at most: what compute-sanitizer has not begun by then is left out.
# Writes $OUT/gpu.json (default bench/results/gpu.json) after each stage and goes on after failures; the exit status
# says whether any stage failed. $OUT/gpu.log has what the stages printed.
set -uo pipefail
cd "$(dirname "$0")/.."
export DEBLAI_COMMIT=${1:-${DEBLAI_COMMIT:-unknown}}
out=${OUT:-$PWD/bench/results}
work=${DEBLAI_GPU_BUILD:-/tmp/deblai-gpu}
mkdir -p "$out" "$work"
rm -f "$out/gpu.json" "$out/gpu.log"
failed=0
most=${DEBLAI_GPU_SECONDS:-560}

record() { # stage status seconds [data.json]: appends to gpu.json
    python3 - "$out/gpu.json" "$@" <<'PY'
import json, os, platform, subprocess, sys
path, stage, status, seconds, *data = sys.argv[1:]
def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip().splitlines()[0]
    except (OSError, IndexError):
        return None
if os.path.exists(path):
    report = json.load(open(path))
else:
    query = "--query-gpu=name,driver_version,memory.total"
    report = {"commit": os.environ["DEBLAI_COMMIT"], "gpu": first_line("nvidia-smi", query, "--format=csv,noheader"),
              "nvcc": first_line("sh", "-c", "nvcc --version | grep release"), "cpus": os.cpu_count(),
              "python": platform.python_version(), "stages": []}
result = {"stage": stage, "ok": status == "0", "seconds": float(seconds)}
try:
    result["data"] = json.load(open(data[0]))
except (IndexError, OSError, ValueError):
    pass
report["stages"].append(result)
json.dump(report, open(path, "w"), indent=1)
PY
}

stage() { # name data-file command...: runs it, with its output in a log, and records how it went
    local name=$1 data=$2 begin=$EPOCHREALTIME status
    shift 2
    printf '\n== %s\n' "$name" | tee -a "$out/gpu.log"
    rm -f "$data"
    "$@" 2>&1 | tee -a "$out/gpu.log" | tail -n 40
    status=${PIPESTATUS[0]}
    [ "$status" = 0 ] || { failed=1; echo "FAILED: $name (exit status $status)"; }
    record "$name" "$status" "$(python3 -c "print(round($EPOCHREALTIME - $begin, 1))")" "$data"
}

kernels=(sliced laguerre laguerre3 lloyd columns multimarginal multimarginal_graph multimarginal_minimum)
config=(-DDEBLAI_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=90)
install() { # into site-packages, or beside them where those are read-only
    local flags=(--no-build-isolation --no-deps --no-index -C build-dir="$work/wheel"
        -C cmake.define.DEBLAI_CUDA=ON -C cmake.define.CMAKE_CUDA_ARCHITECTURES=90)
    python3 -m pip install "${flags[@]}" . || python3 -m pip install "${flags[@]}" --upgrade --target "$work/site" .
}
compile() {
    cmake -S . -B "$work/cpp" -G Ninja -DCMAKE_BUILD_TYPE=Release -DDEBLAI_TESTS=ON -DDEBLAI_BENCH=ON "${config[@]}" &&
        cmake --build "$work/cpp" --target $(printf 'test_%s_cuda ' "${kernels[@]}") \
            bench_{laguerre,laguerre3,multimarginal,sliced}_cuda bench_sliced
}
sanitize() { # tool kernel
    timeout "$((most - SECONDS < 120 ? most - SECONDS : 120))" compute-sanitizer --tool "$1" --error-exitcode 9 "$work/cpp/cuda/tests/test_$2_cuda" quick
}
none=$work/none.json

stage build-python "$none" install
export PYTHONPATH=$work/site${PYTHONPATH:+:$PYTHONPATH}
stage build-cpp "$none" compile
stage info "$work/info.json" python3 -c "
import deblai, json
json.dump(deblai.info(), open('$work/info.json', 'w'))
assert deblai.info()['cuda'], 'no CUDA device'"
for kernel in "${kernels[@]}"; do
    stage "test-cpp-$kernel" "$none" "$work/cpp/cuda/tests/test_${kernel}_cuda"
done
stage test-python "$none" python3 -m pytest tests/gpu -m gpu -q -p no:cacheprovider
for kernel in sliced laguerre laguerre3 multimarginal; do
    stage "bench-cuda-$kernel" "$work/cuda_$kernel.json" "$work/cpp/cuda/bench_${kernel}_cuda" "$work/cuda_$kernel.json"
    ! [ -e "bench/gpu_$kernel.py" ] || stage "bench-peers-$kernel" "$work/peers_$kernel.json" python3 "bench/gpu_$kernel.py" "$work/peers_$kernel.json"
done
stage bench-cpu "$work/cpu.json" "$work/cpp/bench/bench_sliced" "$(nproc)" "$work/cpu.json"
for tool in memcheck racecheck; do
    for kernel in "${kernels[@]}"; do # as many as there is time for
        [ "$SECONDS" -ge "$most" ] || stage "$tool-$kernel" "$none" sanitize "$tool" "$kernel"
    done
done

printf '\nwrote %s\n' "$out/gpu.json"
exit "$failed"
