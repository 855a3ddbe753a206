"""The examples in docstrings run, and every public function has one."""

import doctest
import importlib
import inspect
import pkgutil

import deblai
import pytest

# Modules whose import needs a package that deblai itself does not.
OPTIONAL = {"deblai.torch": "torch", "deblai.jax": "jax", "deblai.sklearn": "sklearn", "deblai.plot": "matplotlib"}
COMPILED = {"deblai._core", "deblai._dlpack", "deblai._cuda"}
SCRIPTS = {"deblai.__main__"}
MODULES = sorted({info.name for info in pkgutil.walk_packages(deblai.__path__, "deblai.", onerror=lambda name: None)})


def load(name):
    for prefix, package in OPTIONAL.items():
        if name == prefix or name.startswith(prefix + "."):
            pytest.importorskip(package)
    return importlib.import_module(name)


def test_the_walk_finds_the_package():
    """Or else nothing below would test anything."""
    assert {"deblai.sliced._wasserstein", "deblai.reference.sliced", "deblai.torch.sliced"} <= set(MODULES)


@pytest.mark.parametrize("name", ["deblai", *(m for m in MODULES if m not in COMPILED | SCRIPTS)])
def test_examples_of(name):
    """Every doctest of the module prints what it says."""
    module = load(name)
    results = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert results.failed == 0


def public_functions():
    """Functions that a user may call: those in __all__ of deblai and of the modules it names there, and these name."""
    modules = [deblai]
    for module in modules:  # which grows
        modules += [v for v in map(module.__dict__.get, getattr(module, "__all__", ())) if inspect.ismodule(v)]
    found = []
    for module in modules:
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if inspect.isfunction(value):
                found.append(pytest.param(value, id=f"{module.__name__}.{name}"))
    return found


@pytest.mark.parametrize("function", public_functions())
def test_public_functions_have_an_example(function):
    """A docstring of one line first, and an example that runs."""
    doc = inspect.getdoc(function)
    assert doc
    assert doc.splitlines()[0].endswith(".")
    assert doctest.DocTestFinder().find(function)[0].examples, "no example"


@pytest.mark.parametrize("function", public_functions())
def test_public_functions_document_every_argument(function):
    """Each parameter is named in the numpydoc section "Parameters"."""
    parameters = inspect.signature(function).parameters
    if not parameters:
        return
    doc = inspect.getdoc(function)
    section = doc.partition("Parameters\n----------\n")[2].partition("\n\n")[0]
    described = {
        name.strip() for line in section.splitlines() if line[:1].strip() for name in line.partition(":")[0].split(",")
    }
    assert set(parameters) <= described, set(parameters) - described
