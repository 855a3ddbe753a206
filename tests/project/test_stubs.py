"""The hand-written stubs say what the compiled modules have."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import deblai
import pytest

PACKAGE = Path(deblai.__file__).parent
MODULES = ("_core", "_dlpack", "_cuda")


def compiled(name):
    try:
        return importlib.import_module(f"deblai.{name}")
    except ImportError:
        if name != "_cuda":
            raise
        pytest.skip("this build has no CUDA kernels")


def named(tree, kind):
    return {node.name: node for node in tree.body if isinstance(node, kind)}


def arguments(function):
    """Names and defaults, in order; all may be given by position or by name."""
    assert not function.args.posonlyargs
    assert not function.args.kwonlyargs
    return [arg.arg for arg in function.args.args], [ast.literal_eval(default) for default in function.args.defaults]


def returned(function):
    """The outermost type of what is returned: pybind11 says `tuple` where the stub says what is in it."""
    return ast.unparse(function.returns).partition("[")[0].rpartition(".")[2]


@pytest.mark.parametrize("name", MODULES)
def test_signatures(name):
    """Every function, argument, default and return type: the docstrings that pybind11 and nanobind write have them."""
    module = compiled(name)
    tree = ast.parse((PACKAGE / f"{name}.pyi").read_text(encoding="utf-8"))
    stub, classes = named(tree, ast.FunctionDef), named(tree, ast.ClassDef)
    public = {key for key in vars(module) if not key.startswith("_")} - set(classes)
    assert public == set(stub)
    assert all(isinstance(getattr(module, key), type) for key in classes)
    for key in public:
        said = ast.parse(f"def {getattr(module, key).__doc__.splitlines()[0]}: ...").body[0]
        assert arguments(said) == arguments(stub[key]), key
        if returned(said) not in ("object", "CapsuleType"):
            assert returned(said) == returned(stub[key]), key


def test_every_compiled_module_has_a_stub():
    """And there are no others."""
    folder = Path(compiled("_core").__file__).parent
    assert {path.name.partition(".")[0] for path in folder.glob("*.so")} <= set(MODULES)
    assert {path.stem for path in PACKAGE.glob("*.pyi")} == set(MODULES)
    assert (PACKAGE / "py.typed").exists()


@pytest.mark.slow
def test_stubtest(root, tmp_path):
    """mypy's own comparison. It cannot look into nanobind's functions, and wants classes of `type` itself."""
    pytest.importorskip("mypy")
    allowed = tmp_path / "allowed"
    allowed.write_text("deblai._dlpack.view\ndeblai._core.LaplacianLevels\n")
    command = [sys.executable, "-m", "mypy.stubtest", "deblai._core", "deblai._dlpack", "--allowlist", str(allowed)]
    done = subprocess.run(
        [*command, "--mypy-config-file", str(root / "pyproject.toml")],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What one run of mypy tells the next."""
    pytest.importorskip("mypy")
    return str(tmp_path_factory.mktemp("mypy"))


@pytest.mark.slow
def test_mypy_strict(root, cache):
    """The package is typed: mypy --strict, as pyproject.toml has it, finds nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", cache],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_caller_under_mypy(root, cache, tmp_path, monkeypatch):
    """What a typed program may write: results have types, wrong calls are found."""
    api = pytest.importorskip("mypy.api")
    monkeypatch.chdir(root)  # mypy_path is relative to it
    program = tmp_path / "program.py"
    program.write_text(
        "import deblai\n"
        "r: deblai.results.SlicedResult = deblai.sliced.wasserstein([0.0], [1.0])\n"
        "n: int = deblai.get_num_threads()\n"
        "deblai.set_num_threads('2')\n"
        "r.value = 1.0\n"
        "deblai.sliced.wasserstein([0.0], [1.0], seed=1)\n"
    )
    out, _, _ = api.run(["--cache-dir", cache, str(program)])
    wrong = [line.split(":")[1] for line in out.splitlines() if ": error:" in line]
    assert wrong == ["4", "5", "6"], out
