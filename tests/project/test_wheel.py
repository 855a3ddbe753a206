"""The wheel: what is in it, and that it works in an environment that has NumPy and nothing else."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import deblai
import numpy as np
import pytest

pytestmark = pytest.mark.slow

SMOKE = """
import sys
import numpy as np, deblai
info = deblai.info()
assert info["version"] == deblai.__version__ == "{version}", info
assert "site-packages" in deblai.__file__, deblai.__file__
x = np.random.default_rng(0).standard_normal((2000, 3))
r = deblai.sliced.wasserstein(x, x + [3.0, 0.0, 0.0], n_projections=500, rng=1, grad=True)
assert abs(r.value_p - 3.0) < 4 * r.stderr_p, r
assert r.backend == "cpu/" + info["simd"]
assert deblai.sliced.gradient_flow(x, x[:1000], n_steps=2).n_iter == 2
assert "torch" not in sys.modules
print(info["cuda"])
"""


def run(*command, cwd=None, **env):
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    """The wheel of this checkout, built where earlier builds were.

    With the tools that `pip install` finds, not those that the tests brought along: another CMake or ninja would
    compile all anew.
    """
    out = tmp_path_factory.mktemp("wheel")
    own = Path(sys.executable).parent
    path = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if Path(p) != own)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--disable-pip-version-check", "-w", out, root, PATH=path)
    (built,) = out.glob("*.whl")
    return built


def package_files(root):
    package = root / "python" / "deblai"
    kept = (path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(package.parent).as_posix() for path in kept}


def test_the_wheel_has_the_expected_files(wheel, root):
    """Python files, stubs, py.typed, the compiled modules, the licence: no headers, libraries or tests."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    plain = {name for name in names if not re.fullmatch(r"deblai/_\w+\.[\w-]+\.so", name)}
    compiled = {name.split("/")[1].split(".")[0] for name in names - plain}
    assert compiled in ({"_core", "_dlpack"}, {"_core", "_dlpack", "_cuda"})
    info = f"deblai-{deblai.__version__}.dist-info"
    metadata = {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "licenses/LICENSE")}
    assert metadata <= plain
    assert plain - metadata - {f"{info}/entry_points.txt"} == package_files(root)
    assert "deblai/py.typed" in plain
    assert len(names - plain) == len(compiled)


@pytest.mark.skipif(not shutil.which("readelf"), reason="readelf is not installed")
def test_the_compiled_modules_need_only_the_system(wheel, tmp_path):
    """libstdc++ and libc: no OpenMP runtime, no CUDA runtime or driver, no path of the machine that built it."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    modules = sorted(tmp_path.glob("deblai/*.so"))
    assert modules
    for module in modules:
        dynamic = run("readelf", "-d", module, cwd=tmp_path)
        needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic))
        stems = {name.partition(".so")[0] for name in needed}
        assert stems <= {"libstdc++", "libm", "libgcc_s", "libc", "libpthread", "libdl", "librt", "ld-linux-x86-64"}
        assert not re.search(r"RPATH|RUNPATH", dynamic)


def test_the_wheel_in_an_environment_with_numpy_only(wheel, tmp_path):
    """Import, info(), one distance, one flow; and a deblai.info() that lists devices only where there is a driver."""
    env = tmp_path / "env"
    venv.create(env, with_pip=True)
    python = env / "bin" / "python"
    run(python, "-m", "pip", "install", "--disable-pip-version-check", f"numpy=={np.__version__}", wheel, cwd=tmp_path)
    installed = run(python, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check", cwd=tmp_path)
    names = {line.partition("==")[0] for line in installed.split()}
    assert names - {"pip", "setuptools"} == {"numpy", "deblai"}
    said = run(python, "-W", "error", "-c", SMOKE.format(version=deblai.__version__), cwd=tmp_path).strip()
    if not shutil.which("nvidia-smi"):
        assert said in ("None", "[]")
    run(python, "-m", "deblai", "info", cwd=tmp_path)


def test_the_source_distribution(root, tmp_path, monkeypatch):
    """It has what a build needs, and neither CI nor results."""
    build = pytest.importorskip("scikit_build_core.build")
    monkeypatch.chdir(root)
    name = build.build_sdist(str(tmp_path))
    with tarfile.open(tmp_path / name) as archive:
        files = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    needed = {"CMakeLists.txt", "pyproject.toml", "LICENSE", "README.md", "cpp/CMakeLists.txt", "cuda/CMakeLists.txt"}
    assert needed <= files
    assert {f"python/{path}" for path in package_files(root)} <= files
    assert not [path for path in files if path.startswith((".ci/", "build/", "bench/results/", ".git/"))]
    assert not [path for path in files if path.endswith((".so", ".o", ".a", ".whl", ".pyc"))]
