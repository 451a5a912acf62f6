"""The shape of the house, held by tests: which way data flows, and what is never imported."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "poetgen"

# From the ground up. A module imports from its own floor and from those below it, never above.
FLOORS = (
    (
        "poetgen.errors",
        "poetgen.folders",
        "poetgen.files",
        "poetgen.tensors",
        "poetgen.quantization",
        "poetgen.weights",
    ),
    ("poetgen.verse",),
    ("poetgen.corpus",),
    ("poetgen.dataset",),
    (
        "poetgen.models.cells",
        "poetgen.models.config",
        "poetgen.models.cpu_layers",
        "poetgen.models.deep_transition",
        "poetgen.models.dropout",
        "poetgen.models.min_cells",
        "poetgen.models.output_recurrence",
        "poetgen.models.scan",
        "poetgen.models.shapes",
        "poetgen.models.stack",
    ),
    ("poetgen.checkpoint",),
    ("poetgen.models",),
    ("poetgen.training",),
    ("poetgen.writing",),
    ("poetgen.shipping",),
    ("poetgen.book",),
    ("poetgen.lab",),
    ("poetgen.studio",),
    ("poetgen.serving",),
    ("poetgen.cli",),
)

# The only modules that may name torch. Everything else runs on a machine without it.
KNOW_TORCH = ("poetgen.models", "poetgen.training", "poetgen.lab", "poetgen.writing.torch_engine")

MODULES = {
    ".".join(("poetgen", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def _is_in(module: str, place: str) -> bool:
    return module == place or module.startswith(place + ".")


def _floor(module: str) -> int:
    """The floor of the most exact place that `module` is in."""
    places = [
        (len(place), number)
        for number, floor in enumerate(FLOORS)
        for place in floor
        if _is_in(module, place)
    ]
    assert places, f"{module} stands on no floor: give it one in FLOORS"
    return max(places)[1]


def _imports(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it but under `if TYPE_CHECKING:`."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update(
                f"{node.module}.{alias.name}"
                if f"{node.module}.{alias.name}" in MODULES
                else node.module
                for alias in node.names
            )
        waiting.extend(ast.iter_child_nodes(node))
    return found


@pytest.mark.parametrize("module", [m for m in MODULES if m not in ("poetgen", "poetgen.__main__")])
def test_a_module_imports_only_from_its_own_floor_and_those_below(module: str) -> None:
    above = [
        imported
        for imported in _imports(MODULES[module])
        if imported.startswith("poetgen.") and _floor(imported) > _floor(module)
    ]
    assert not above


@pytest.mark.parametrize("module", MODULES)
def test_only_the_networks_and_their_training_name_torch(module: str) -> None:
    names_torch = any(_is_in(imported, "torch") for imported in _imports(MODULES[module]))
    assert not names_torch or any(_is_in(module, place) for place in KNOW_TORCH)


def test_nothing_below_the_command_line_prints() -> None:
    printing = [
        f"{module}:{node.lineno}"
        for module, path in MODULES.items()
        if not _is_in(module, "poetgen.cli")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not printing


def test_every_text_file_is_opened_with_an_encoding() -> None:
    careless = []
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                text_call = node.func.attr in ("read_text", "write_text")
                if text_call and not node.args and not node.keywords:
                    careless.append(f"{module}:{node.lineno}")
    assert not careless


def test_the_command_line_imports_nothing_heavy() -> None:
    commands = [module for module in MODULES if _is_in(module, "poetgen.cli")]
    program = (
        "import importlib, sys\n"
        f"for module in {commands!r}: importlib.import_module(module)\n"
        "heavy = {'torch', 'numpy', 'jieba', 'rich', 'matplotlib', 'opencc', 'safetensors'}\n"
        "heavy |= {'textual', 'PIL', 'fontTools', 'aiohttp'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True
    )
    assert found.stdout.strip() == "[]"
