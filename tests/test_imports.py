"""Every import of the package obeys the table of rooms, and the rooms' types stay cheap to import.

The table is the architecture: a room that needs more changes it here and in ARCHITECTURE.md, on purpose.
"""

import ast
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "gateway"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


@dataclass(frozen=True)
class Room:
    """What one room may import.

    Attributes:
        rooms: Other rooms, as paths under the package; ``audio.types`` opens that module alone.
        third_party: Libraries it may import anywhere.
        deferred: Libraries it may import inside functions only (or for type checkers), for they are heavy.
    """

    rooms: frozenset[str] = frozenset()
    third_party: frozenset[str] = frozenset()
    deferred: frozenset[str] = frozenset()


def room(rooms: str = "", third_party: str = "", deferred: str = "") -> Room:
    """One row of the table, from words."""
    return Room(frozenset(rooms.split()), frozenset(third_party.split()), frozenset(deferred.split()))


EVERY_ROOM = (
    "errors aio allocator metrics tracing keys handles logs memory settings systemd transcript audio engine "
    "models nodes flow protocol server runtime app door serving cli"
)

TABLE = {
    "": room(),  # gateway/__init__.py
    "errors": room(),
    "aio": room("errors", "anyio"),
    "systemd": room(),
    "metrics": room("errors", "prometheus_client"),
    "keys": room("errors", "pydantic"),
    "tracing": room(third_party="opentelemetry"),
    "logs": room("tracing"),
    "allocator": room(),
    "memory": room("allocator", "anyio"),
    "handles": room(),
    "transcript": room("errors"),
    "audio": room("errors transcript", "numpy av onnxruntime", deferred="kaldi_native_fbank scipy"),
    "engine": room(
        "errors aio allocator handles metrics tracing transcript audio.types",
        # Rows are samples; the batcher and the supervisor are tasks; upstreams are asked over HTTP.
        "numpy anyio httpx2",
        # Backends, loaded in the worker process; Ray, by those who ask for it.
        deferred="ctranslate2 faster_whisper tokenizers ray",
    ),
    # What writes the speakers' networks is itself loaded when it is needed.
    "models": room("errors", "numpy onnx", deferred="huggingface_hub"),
    "flow": room("errors aio metrics tracing transcript audio engine", "anyio"),
    "protocol": room(
        # pydantic_core holds pydantic's own error types; itsdangerous signs ephemeral keys; langcodes has the
        # registry of languages.
        "errors transcript",
        "pydantic pydantic_core itsdangerous langcodes typing_extensions",
    ),
    "server": room(
        # Of the rooms behind the flow only what a request's options and a model's state are made of.
        "protocol flow transcript errors metrics tracing keys aio "
        "audio.chunking audio.length audio.pcm audio.speaker_model audio.speakers audio.turns audio.types "
        "audio.vad "
        "engine.api engine.catalog engine.lifecycle",
        # python-multipart is driven directly: Starlette's form parser caps text parts. Uvicorn's
        # connections, on h11, are bounded by subclasses.
        "starlette sse_starlette python_multipart prometheus_client anyio uvicorn h11",
    ),
    "settings": room("errors", "pydantic pydantic_settings"),
    # What a cluster's machines do to get an engine.
    "nodes": room("errors engine models"),
    "runtime": room("errors metrics memory audio engine models nodes flow settings", "anyio"),
    "app": room(EVERY_ROOM, "anyio starlette"),
    "door": room("errors logs server.listening settings systemd"),
    "serving": room("allocator app errors handles logs memory protocol runtime server settings", "uvicorn"),
    "cli": room(EVERY_ROOM, "anyio prometheus_client pydantic pydantic_settings rich typer"),
    "__main__": room("cli"),
}

HEAVY = {"httpx2", "av", "onnxruntime", "ctranslate2", "faster_whisper", "torch", "scipy", "onnx", "ray"}


@dataclass(frozen=True)
class Import:
    """One imported module; ``deferred`` when it is not loaded together with the importing one."""

    target: str
    line: int
    deferred: bool


class Finder(ast.NodeVisitor):
    """Collects the imports of a module: statements, and `importlib.import_module` of a literal name."""

    def __init__(self, module: str, *, is_package: bool) -> None:
        self.package = module if is_package else module.rpartition(".")[0]
        self.depth = 0
        self.found: list[Import] = []

    def add(self, target: str, node: ast.stmt | ast.expr) -> None:
        """Notes an import at this point of the walk."""
        self.found.append(Import(target, node.lineno, deferred=self.depth > 0))

    def deeper(self, node: ast.AST) -> None:
        """Walks what runs later than the import of the module, or never."""
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """What a function imports is loaded when it is called."""
        self.deeper(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """The same."""
        self.deeper(node)

    def visit_If(self, node: ast.If) -> None:
        """What stands under ``if TYPE_CHECKING`` is never loaded."""
        if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            self.deeper(node)
        else:
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        """``import a.b``."""
        for alias in node.names:
            self.add(alias.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """``from a import b``: of ``a.b`` where that is a module of ours, else of ``a``."""
        base = node.module or ""
        if node.level:
            base = importlib.util.resolve_name("." * node.level + base, self.package)
        for alias in node.names:
            submodule = f"{base}.{alias.name}"
            self.add(submodule if submodule in MODULES else base, node)

    def visit_Call(self, node: ast.Call) -> None:
        """``import_module("a.b")``."""
        if ast.unparse(node.func) in ("importlib.import_module", "import_module", "__import__"):
            match node.args:
                case [ast.Constant(value=str(name)), *_]:
                    self.add(name, node)
        self.generic_visit(node)


def room_of(module: str) -> str:
    """``gateway.audio.vad`` lies in ``audio``, ``gateway`` itself in the room without a name."""
    return [*module.split("."), ""][1]


def violations(module: str, source: str, *, is_package: bool = False) -> Iterator[str]:
    """Yields a sentence for each import of ``source`` that the table does not allow."""
    name = room_of(module)
    if name not in TABLE:
        yield f"{module}: no room '{name}' in the table"
        return
    row = TABLE[name]
    finder = Finder(module, is_package=is_package)
    finder.visit(ast.parse(source))
    for found in finder.found:
        top, _, path = found.target.partition(".")
        if top in sys.stdlib_module_names or (top == "_typeshed" and found.deferred):
            continue  # _typeshed is the type checkers' part of the standard library
        if top == "gateway":
            allowed = room_of(found.target) in ("", name) or any(
                f"{path}.".startswith(f"{opened}.") for opened in row.rooms
            )
        else:
            allowed = top in row.third_party or (found.deferred and top in row.deferred)
        if not allowed:
            yield f"{module}:{found.line} imports {found.target}"


def test_the_table_is_of_rooms_that_are_built() -> None:
    """Each room has its row, each row its room, and what a row opens is there."""
    rooms = {room_of(module) for module in MODULES}
    opened = {path for row in TABLE.values() for path in row.rooms}

    assert rooms == TABLE.keys()
    assert {path for path in opened if f"{PACKAGE.name}.{path}" not in MODULES} == set()


@pytest.mark.parametrize("module", MODULES)
def test_module_obeys_the_table(module: str) -> None:
    """The module imports nothing but what its room may."""
    path = MODULES[module]

    found = list(violations(module, path.read_text("utf-8"), is_package=path.name == "__init__.py"))

    assert found == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gateway.protocol.sse", "import numpy"),
        ("gateway.protocol.sse", "import gateway.audio.types"),
        ("gateway.protocol.sse", "from gateway.audio.types import Chunk"),
        ("gateway.protocol.sse", "from gateway import metrics"),
        ("gateway.protocol.sse", "from ..engine import types"),
        ("gateway.protocol.sse", "def f():\n    from gateway.engine import types"),
        ("gateway.engine.batcher", "import gateway.audio"),
        ("gateway.engine.batcher", "from gateway.audio.typesetting import X"),
        ("gateway.engine.batcher", "import ctranslate2"),
        ("gateway.engine.batcher", "try:\n    import faster_whisper\nexcept ImportError:\n    pass"),
        ("gateway.engine.batcher", "import importlib\nimportlib.import_module('torch')"),
        ("gateway.audio.vad", "def f():\n    import anyio"),
        ("gateway.app", "import av"),
        ("gateway.surprise", ""),
    ],
)
def test_breach_is_found(module: str, source: str) -> None:
    """The walk sees each way of writing a forbidden import, so that the test above can fail."""
    found = list(violations(module, source))

    assert len(found) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "gateway.protocol.sse",
            "import json\nfrom pydantic import BaseModel\nfrom gateway import __version__",
        ),
        ("gateway.protocol.sse", "from gateway.protocol.formats import X\nfrom . import formats"),
        (
            "gateway.engine.batcher",
            "from gateway.audio.types import Samples\nfrom gateway.audio import types",
        ),
        ("gateway.engine.whisper.engine", "class A:\n    def f(self):\n        import ctranslate2.models"),
        ("gateway.engine.whisper.engine", "if TYPE_CHECKING:\n    from faster_whisper import WhisperModel"),
    ],
)
def test_allowed_import_passes(module: str, source: str) -> None:
    """The walk does not cry over what the table allows."""
    found = list(violations(module, source))

    assert found == []


@pytest.mark.slow
@pytest.mark.parametrize("module", ["gateway.protocol", "gateway.audio.types", "gateway.engine.api"])
def test_types_are_light(module: str) -> None:
    """Importing the room's types in a fresh interpreter loads no codec, no model runtime and no torch."""
    if module not in MODULES:
        pytest.skip(f"{module} does not exist")
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert HEAVY.isdisjoint(json.loads(run.stdout))


@pytest.mark.slow
def test_the_door_is_open_before_the_program_is_loaded() -> None:
    """Opening the port loads neither the server nor its engine, so that nobody is refused meanwhile."""
    code = "import json, sys, gateway.door; print(json.dumps(sorted(sys.modules)))"

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert (HEAVY | {"uvicorn", "starlette", "numpy", "anyio", "gateway.app"}).isdisjoint(
        json.loads(run.stdout)
    )
