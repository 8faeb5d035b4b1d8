"""Read every import in a tree, and name those that go against the arrows of the house.

Imports are read, not run: inside functions and under TYPE_CHECKING too, and `import_module("…")` with a literal.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOMS = ("framehaul", "agent", "controller", "training", "samples", "bench", "tests")
OURS = ("framehaul", "agent", "controller")
HEAVY = ("torch", "numpy", "cv2", "av")

_SHARED = ("framehaul.errors", "framehaul.clock", "framehaul.atomic")
_BASE = (*_SHARED, "framehaul.contract")

# What each room may look into besides itself; the longest name that fits the importing module counts.
SIGHT: Mapping[str, tuple[str, ...]] = {
    "framehaul": ("framehaul.errors",),
    "framehaul.contract": ("framehaul.errors",),
    "framehaul.storage": _BASE,
    "framehaul.media": _BASE,
    "framehaul.pipelines": (*_BASE, "framehaul.media"),
    "agent": ("framehaul",),
    "controller": (
        *_BASE,
        "framehaul.storage",
        "framehaul.media.probe",
        "framehaul.pipelines.base",
        "framehaul.pipelines.catalogue",
        "framehaul.pipelines.*.spec",
    ),
    "training": ("framehaul", "samples"),
    "samples": ("framehaul", "training"),
    "bench": (*OURS, "samples"),
    "tests": (*OURS, "training", "samples", "bench"),
}

# The agent's files that run in the worker's process, where torch is at home; all others serve and transfer.
WORKER_SIDE = ("agent.worker_main", "agent.one_shot", "agent.oneshot", "agent.once")


@dataclass(frozen=True)
class Arrow:
    """One import: which module names which target (`package.module.name`), and where."""

    source: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


def within(name: str, pattern: str) -> bool:
    """Say whether a dotted name is the pattern's module or below it; `*` stands for one word."""
    words, wanted = name.split("."), pattern.split(".")
    return len(words) >= len(wanted) and all(want in {"*", word} for word, want in zip(words, wanted, strict=False))


def modules(root: Path) -> dict[str, Path]:
    """Map each module of the tree's rooms to its file."""
    found = {}
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            words = path.relative_to(root).with_suffix("").parts
            found[".".join(words[:-1] if words[-1] == "__init__" else words)] = path
    return found


def arrows(root: Path) -> Iterator[Arrow]:
    """Read every import of the tree."""
    for module, path in modules(root).items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for target in targets(node, package):
                yield Arrow(module, target, getattr(node, "lineno", 0))


def targets(node: ast.AST, package: str) -> list[str]:
    """Name what one statement or call imports."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            base = ".".join(package.split(".")[: len(package.split(".")) - level + 1]) if level else ""
            start = ".".join(word for word in (base, module) if word)
            return [f"{start}.{alias.name}" for alias in names]
        case ast.Call(
            func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return [name]
    return []


def module_level(tree: ast.AST, package: str) -> set[str]:
    """Name what importing a file imports at once: not inside functions, not under TYPE_CHECKING."""
    found, todo = set[str](), list(ast.iter_child_nodes(tree))
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
            continue
        found |= set(targets(node, package))
        todo += ast.iter_child_nodes(node)
    return found


def breaches(root: Path) -> list[str]:
    """Name every import of the tree that breaks a rule, with the rule."""
    found = []
    for arrow in arrows(root):
        found += [f"{arrow}: {said}" for said, breaks in RULES.items() if breaks(arrow)]
    return found


def _out_of_sight(arrow: Arrow) -> bool:
    room = max((room for room in SIGHT if within(arrow.source, room)), key=len)
    top = arrow.target.partition(".")[0]
    if top not in ROOMS or arrow.target in {"framehaul", "framehaul.__version__"}:
        return False
    own = room if room != "framehaul" else arrow.source
    return not any(within(arrow.target, seen) for seen in (own, *SIGHT[room]))


# What lies beside the pipelines' folders and belongs to none of them.
COMMON_TO_PIPELINES = {path.stem for path in (Path(__file__).parents[1] / "framehaul" / "pipelines").glob("*.py")}


def _pipeline(module: str) -> str:
    words = module.split(".")
    inside = words[:2] == ["framehaul", "pipelines"] and len(words) > 2
    return words[2] if inside and words[2] not in COMMON_TO_PIPELINES else ""


def _into_another_pipeline(arrow: Arrow) -> bool:
    of_source, of_target = _pipeline(arrow.source), _pipeline(arrow.target)
    return within(arrow.source, "framehaul.pipelines") and bool(of_target) and of_source != of_target


def _spec_is_heavy(arrow: Arrow) -> bool:
    heavy = arrow.target.partition(".")[0] in HEAVY or within(arrow.target, "framehaul.pipelines.*.run")
    return within(arrow.source, "framehaul.pipelines.*.spec") and heavy


def _server_is_heavy(arrow: Arrow) -> bool:
    server = within(arrow.source, "agent") and not any(within(arrow.source, name) for name in WORKER_SIDE)
    return server and (arrow.target.partition(".")[0] in HEAVY or within(arrow.target, "framehaul.pipelines.*.run"))


def _provider_knows_leases(arrow: Arrow) -> bool:
    words = arrow.target.split(".")
    lease = words[0] == "controller" and any(word.startswith("lease") for word in words[1:])
    return within(arrow.source, "controller.providers") and lease


def _double_knows_us(arrow: Arrow) -> bool:
    return within(arrow.source, "tests.emulators") and arrow.target.partition(".")[0] in OURS


def _needs_tests(arrow: Arrow) -> bool:
    return not within(arrow.source, "tests") and within(arrow.target, "tests")


RULES: Mapping[str, Callable[[Arrow], bool]] = {
    "arrows point one way: contract <- storage, media, pipelines <- agent, controller": _out_of_sight,
    "a pipeline is one folder and leans on no other": _into_another_pipeline,
    "a spec plans on the laptop, without torch and without its runner": _spec_is_heavy,
    "the agent's server transfers; only the worker computes": _server_is_heavy,
    "a provider rents machines and does not know what a lease is to us": _provider_knows_leases,
    "a double of somebody else's server imports nothing of ours": _double_knows_us,
    "only tests import tests": _needs_tests,
}
