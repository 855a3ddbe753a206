"""What `.ci/run` builds and runs of C++, optimised and under sanitizers, is all that there is; CUDA or its absence."""

import os
import re
import shutil
import subprocess

import deblai
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("ninja")), reason="cmake or ninja is not installed"),
    pytest.mark.skipif(not shutil.which("c++"), reason="no C++ compiler"),
]

JOBS = str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
NVCC = shutil.which("nvcc")


KERNELS = ("columns", "laguerre", "lloyd", "multimarginal", "sliced")


def run(*command, cwd, env=None, check=True, timeout=900):
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check and done.returncode:
        pytest.fail(f"{' '.join(map(str, command))}\n{done.stdout[-6000:]}")
    return done


def listed(output):
    """The names of the tests that ctest knows."""
    return set(re.findall(r"Test +#\d+: (\S+)", output))


def sources(root):
    return {path.stem.removeprefix("test_") for path in (root / "tests" / "cpp").rglob("test_*.cpp")}


def emulated(root):
    return {f"{path.stem.removeprefix('test_')}-cuda-emulated" for path in (root / "tests" / "gpu").glob("test_*.cu")}


def test_no_test_is_forgotten(root, tmp_path):
    """Preset cpu: C++ tests, emulated CUDA kernels, symbols of each level, a user of the installed library."""
    run("cmake", "--preset", "cpu", "-B", tmp_path, cwd=root)
    done = run("ctest", "--test-dir", tmp_path, "--show-only", cwd=root)
    assert listed(done.stdout) == sources(root) | emulated(root) | {"symbols", "symbols-self-test", "consumer"}


def test_the_sanitizers_are_on(root, tmp_path):
    """Or else `.ci/run` would find nothing ever: flags reach the library, and its tests are built."""
    for preset, flag in (("asan", "-fsanitize=address,undefined"), ("tsan", "-fsanitize=thread")):
        build = tmp_path / preset
        run("cmake", "--preset", preset, "-B", build, "-D", "CMAKE_EXPORT_COMPILE_COMMANDS=ON", cwd=root)
        commands = (build / "compile_commands.json").read_text(encoding="utf-8")
        entries = [entry for entry in commands.split("},") if "cpp/src/" in entry]
        assert entries
        assert all(flag in entry for entry in entries)
        built = set(re.findall(r"tests/cpp/\w+/test_(\w+)\.cpp\"", commands))
        assert built == {name for name in sources(root) if not name.endswith("_memory")}


@pytest.fixture
def without_nvcc(tmp_path):
    """An environment whose PATH has everything but nvcc, in which nothing else points at a CUDA toolkit."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for path in os.scandir(folder) if os.path.isdir(folder) else ():
            link = tools / path.name
            if path.name != "nvcc" and not os.path.lexists(link):
                link.symlink_to(path.path)
    kept = {key: v for key, v in os.environ.items() if not key.startswith(("CUDA", "NVCC"))}
    return kept | {"PATH": str(tools)}


def test_cuda_without_nvcc(root, tmp_path, without_nvcc):
    """DEBLAI_CUDA=ON without nvcc is an error that says what is missing; AUTO and OFF build without."""
    base = ("cmake", "-S", root, "-G", "Ninja", "-B")
    done = run(*base, tmp_path / "on", "-D", "DEBLAI_CUDA=ON", cwd=root, env=without_nvcc, check=False)
    assert done.returncode != 0, done.stdout
    assert re.search(r"DEBLAI_CUDA=ON.*nvcc", done.stdout, re.DOTALL), done.stdout
    for setting in ("AUTO", "OFF"):
        run(*base, tmp_path / setting, "-D", f"DEBLAI_CUDA={setting}", cwd=root, env=without_nvcc)


@pytest.mark.skipif(not NVCC, reason="nvcc is not installed")
def test_cuda_with_nvcc(root):
    """DEBLAI_CUDA=ON with nvcc on the PATH compiles the kernels, whether or not there is a GPU.

    Where the module at hand was built with them, that is seen already: a minute of nvcc would tell nothing new.
    """
    build = root / "build" / "test-cuda"
    run("cmake", "-S", root, "-G", "Ninja", "-B", build, "-D", "DEBLAI_CUDA=ON", cwd=root)
    todo = run("ninja", "-C", build, "-t", "targets", "all", cwd=root).stdout
    assert {f"{kernel}.cu.o" for kernel in KERNELS} <= set(re.findall(r"\w+\.cu\.o", todo))
    if deblai.info()["cuda"] is None:
        run("cmake", "--build", build, "--parallel", JOBS, cwd=root)
    else:
        from deblai import _cuda

        assert all(any(name.startswith(kernel) for name in dir(_cuda)) for kernel in KERNELS)
