"""What `import deblai` may load, and what may never depend on what."""

import ast
import json
import re
import sys
from pathlib import Path

import deblai
import pytest

PACKAGE = Path(deblai.__file__).parent
HEAVY = {"torch", "jax", "jaxlib", "sklearn", "scipy", "matplotlib", "tqdm", "cupy", "pandas", "pytest", "hypothesis"}
ALLOWED = {"numpy", "deblai"}  # and the standard library
BUDGET = 30  # modules beyond NumPy's own; they were 20 when this was written

LOADED = """
import json, sys
import numpy
before = set(sys.modules)
{code}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded(python, code):
    return json.loads(python(LOADED.format(code=code)).stdout.splitlines()[-1])


def test_import_loads_numpy_and_itself(python):
    """No torch, jax, sklearn, scipy, matplotlib, tqdm, cupy; nothing else from outside the standard library."""
    modules = loaded(python, "import deblai")
    roots = {name.partition(".")[0] for name in modules}
    assert not roots & HEAVY
    assert roots - set(sys.stdlib_module_names) <= ALLOWED
    assert len(modules) <= BUDGET, modules


def test_a_call_on_numpy_arrays_loads_no_more(python):
    """Adapters are imported on demand: a NumPy caller never pays for PyTorch."""
    code = "import deblai; deblai.sliced.wasserstein([[0.0, 1.0]], [[1.0, 2.0]], grad=True); deblai.info(); str(deblai)"
    modules = loaded(python, code)
    assert not {name.partition(".")[0] for name in modules} & HEAVY
    assert "deblai.torch" not in modules
    assert "deblai.reference.sliced" not in modules


def test_importing_starts_no_thread_and_reads_no_variable(python):
    """A wrong variable is an error of the first call, not of the import."""
    code = "import deblai, threading; assert threading.active_count() == 1; print(deblai.__version__)"
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", python(code, DEBLAI_SIMD="nonsense", DEBLAI_BACKEND="nonsense").stdout)


def test_import_works_where_numpy_alone_is_installed(python):
    """Optional libraries are not looked for: importing them raises here."""
    code = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
import numpy as np, deblai
assert deblai.sliced.wasserstein(np.eye(3), np.eye(3)).value == 0
assert "numpy" in deblai.info()
"""
    python(code.replace("{absent}", repr(HEAVY)))


def imports(path):
    """The modules that a file imports, relative ones resolved."""
    package = ["deblai", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1] if node.level else [])
            module = ".".join(part for part in (base, node.module) if part)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def test_the_reference_is_plain_numpy():
    """reference/ imports NumPy, the standard library and itself: no compiled module of deblai, nor what imports one."""
    files = [*sorted((PACKAGE / "reference").rglob("*.py")), PACKAGE / "_form.py"]  # a struct of arrays
    assert len(files) > 2
    for path in files:
        for name in imports(path):
            root = name.partition(".")[0]
            assert (
                root in sys.stdlib_module_names
                or root in {"numpy", "__future__"}
                or name.startswith(("deblai.reference", "deblai.errors", "deblai._form"))
            ), f"{path.name} imports {name}"


def test_optional_libraries_are_imported_only_by_their_adapters():
    """torch only in torch/, matplotlib only inside functions, and so on."""
    for path in sorted(PACKAGE.rglob("*.py")):
        adapter = path.relative_to(PACKAGE).parts[0]
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:  # at the top of the module, not inside functions
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in names:
                root = name.partition(".")[0]
                assert root not in HEAVY or root == adapter, f"{path.relative_to(PACKAGE)} imports {name}"


@pytest.mark.parametrize(
    ("folder", "never"),
    [
        ("cpp/include", r"Python\.h|pybind11|nanobind|torch/|ATen/|cuda_runtime|cub/|thrust/"),
        ("cpp/src", r"Python\.h|pybind11|nanobind|torch/|ATen/|cuda_runtime|cub/|thrust/"),
        ("cpp/bind", r"torch/|ATen/|cuda_runtime|cub/|thrust/"),
        ("cuda", r"torch/|ATen/"),
    ],
)
def test_headers_that_may_never_be_included(folder, never, root):
    """cpp/include and cpp/src know nothing of Python, CUDA or PyTorch."""
    files = [path for path in (root / folder).rglob("*") if path.suffix in {".hpp", ".cpp", ".cu", ".cuh", ".h"}]
    assert files or folder == "cuda"
    for path in files:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.lstrip().startswith("#include"):
                assert not re.search(never, line), f"{path}: {line}"
