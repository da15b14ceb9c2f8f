"""Imports go one way: the direction of the house."""

from __future__ import annotations

import ast
import collections
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
_BASE = {"vggish", "fast_rcnn_features", "model"}
# Each room and the rooms that it may import from, besides `avmil.common`.
ROOMS = {
    "vggish": set(),
    "fast_rcnn_features": set(),
    "model": set(),
    "flags": set(),
    "avmil.common": {"flags"},
    "avmil.clips": {"flags"},
    "avmil.features": {"avmil.clips", "vggish", "fast_rcnn_features", "flags"},
    "avmil.evaluation": set(),
    "avmil.report": {"avmil.evaluation"},
    "avmil.runs": {
        "avmil.features",
        "avmil.evaluation",
        "avmil.report",
        "model",
        "flags",
    },
    "avmil.localization": {
        "avmil.clips",
        "avmil.features",
        "avmil.evaluation",
        "avmil.report",
        "avmil.runs",
        "flags",
        *_BASE,
    },
}
_WITHOUT_ROOM = {"vggish", "fast_rcnn_features", "model", "flags"}
# Third-party packages that a room does without.
BANNED = {
    "model": {"tensorflow", "jax", "torch"},
    "avmil.evaluation": {"tensorflow", "keras", "matplotlib", "cv2"},
    "avmil.report": {"tensorflow", "keras"},
    "avmil.clips": {"tensorflow", "keras"},
    "avmil.runs": {"tensorflow"},
}


def _imports(path: pathlib.Path) -> set[str]:
    """Full names of the modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _room(module: str) -> str | None:
    """The room that a module belongs to; None for others' packages."""
    parts = module.split(".")
    name = ".".join(parts[:2]) if parts[0] == "avmil" else parts[0]
    return name if name in ROOMS else None


def _files(room: str) -> list[pathlib.Path]:
    path = ROOT / room.replace(".", "/")
    return sorted(path.rglob("*.py")) if path.is_dir() else [ROOT / "flags.py"]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_from_the_rooms_before_it_only(room):
    allowed = {room, *ROOMS[room]}
    if room not in _WITHOUT_ROOM:
        allowed.add("avmil.common")
    against = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in _files(room)
        for name in _imports(path)
        if _room(name) not in (None, *allowed)
    }
    assert not against
    assert _files(room)


@pytest.mark.parametrize("room", BANNED)
def test_a_room_does_without(room):
    against = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in _files(room)
        for name in _imports(path)
        if name.split(".")[0] in BANNED[room]
    }
    assert not against


def test_flag_objects_are_touched_where_the_command_line_is_read():
    readers = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in _files(room)
        if any(name.startswith("absl") for name in _imports(path))
    }
    assert readers <= {"avmil/common/command_line.py"}


def test_nothing_imports_an_entry_script():
    entries = {p.stem for p in ROOT.glob("*.py")} - {"flags", "setup"}
    users = collections.defaultdict(set)
    for path in [*ROOT.glob("*.py"), *(p for r in ROOMS for p in _files(r))]:
        for name in _imports(path) & entries:
            users[name].add(path.name)
    assert not users


def test_modules_do_not_import_each_other_in_a_circle():
    modules = {
        path.relative_to(ROOT)
        .with_suffix("")
        .as_posix()
        .replace("/", "."): path
        for room in ROOMS
        for path in _files(room)
    }
    graph = {}
    for name, path in modules.items():
        tops = set()
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.Import):
                tops |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                tops |= {f"{node.module}.{a.name}" for a in node.names}
                tops.add(node.module)
        graph[name] = tops & set(modules)
    done, path = set(), []

    def visit(name: str) -> None:
        assert name not in path, " -> ".join([*path, name])
        if name not in done:
            path.append(name)
            for other in graph[name]:
                visit(other)
            path.pop()
            done.add(name)

    for name in graph:
        visit(name)
