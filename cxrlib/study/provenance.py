"""What code makes a thing: a digest of what is executed, without its words.

From some names of this library the digest follows every other one that they use, through all its
modules. So a comment, a docstring, a colour, or a function that is not called changes no digest of
a training. Other packages are not followed; `run.json` names their versions.
"""

import ast
import functools
import hashlib
import symtable
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parents[2]

_TABLES = frozenset({
    "cxrlib.networks.ARCHITECTURES", "cxrlib.heatmaps.METHODS", "cxrlib.networks.models._BUILDERS",
    "cxrlib.study.experiments.EXPERIMENTS", "cxrlib.study.profiles.Profile",
    "cxrlib.images.TREATMENTS",
})  # fmt: skip
"""Tables of which a run takes a row: what it takes is written down as a value, beside the digest,
and a new row makes no run anew."""


def digest(*names, place=HERE, apart=()):
    """Digests the code behind some names of the library.

    Args:
        names: Functions, classes or constants by their dotted names below `cxrlib`, such as
            "networks.training.fit".
        place: The folder that holds the library.
        apart: Names, as `names` has them, of what is not called here: they do not count.

    Returns:
        16 hexadecimal digits. The same until what is executed changes.

    Raises:
        KeyError: There is no such name.
    """
    found = _Found(place, _TABLES.union(f"cxrlib.{name}" for name in apart))
    for name in names:
        _follow(f"cxrlib.{name}", found, must=True)
    return _digest(found)


def knows(name):
    """Returns whether the library has something of that dotted name below `cxrlib`."""
    module, _, defined = f"cxrlib.{name}".rpartition(".")
    found = _module(module, HERE)
    return found is not None and defined in found.defines


def digest_of_text(source, apart=()):
    """Digests a program, a notebook's cells say, with the code of the library that it uses.

    Args:
        source: The program.
        apart: Dotted names of the library that do not count.
    """
    module, found = _parsed(source), _Found(HERE, apart)
    found[""] = ast.dump(module.tree)
    _uses(module.tree, module, "", found)
    return _digest(found)


class _Module(NamedTuple):
    """tree: the module without its words; defines: name -> nodes; imports: alias -> dotted name;
    loose: statements that define nothing and run as it is imported.
    """

    tree: ast.Module
    defines: dict
    imports: dict
    loose: list


class _Found(dict):
    """Dotted name -> the code that it stands for.

    place: the folder of the library; apart: dotted names that are left out.
    """

    def __init__(self, place, apart):
        super().__init__()
        self.place, self.apart = place, apart


@functools.cache
def _module(name, place):
    """Reads a module of the library by its dotted name; None if there is none."""
    here = place / name.replace(".", "/")
    for path in (here.with_suffix(".py"), here / "__init__.py"):
        if path.is_file():
            return _parsed(path.read_text(encoding="utf-8"))
    return None


def _parsed(source):
    tree = _without_words(ast.parse(source))
    defines, loose = {}, []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defines.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in (part for whole in targets for part in ast.walk(whole)):
                if isinstance(target, ast.Name):
                    defines.setdefault(target.id, []).append(node)
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            loose.append(node)
    imports = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "cxrlib":
            imports |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    return _Module(tree, defines, imports, loose)


def _without_words(tree):
    """Removes docstrings, which may stand below constants too, and what errors say.

    Parsing has removed the comments.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [
                part
                for part in body
                if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
            ]
            node.body = kept or [ast.Pass()]
    return tree


def _follow(dotted, found, must=False):
    """Adds what a dotted name stands for to `found`, and all that it uses."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        name = ".".join(parts[:cut])
        module = _module(name, found.place)
        if module is None:
            continue
        wanted = parts[cut] if cut < len(parts) else None
        if wanted in module.imports:
            return _follow(".".join([module.imports[wanted], *parts[cut + 1 :]]), found, must)
        if wanted is not None and wanted not in module.defines:
            if must:
                raise KeyError(dotted)
            return None
        # A module that is handed on as a whole counts as a whole.
        for each in [wanted] if wanted else list(module.defines):
            _add(each, module, name, found)
        return None
    return None


def _add(defined, module, name, found):
    key = f"{name}.{defined}"
    if key in found or key in found.apart:
        return
    nodes = module.defines[defined]
    found[key] = [ast.dump(node) for node in nodes]
    for node in nodes:
        _uses(node, module, name, found)
    if f"{name}." not in found:
        found[f"{name}."] = [ast.dump(node) for node in module.loose]
        for node in module.loose:
            _uses(node, module, name, found)


def _uses(tree, module, name, found):
    """Follows every name of the library that a piece of code uses."""
    for first, *rest in _chains(tree):
        if first in module.imports:
            _follow(".".join([module.imports[first], *rest]), found)
        elif first in module.defines and name:
            _add(first, module, name, found)


@functools.cache
def _chains(tree):
    """Lists the dotted names that a piece of code uses, in parts, but for its own variables."""
    own = _own_names(tree)
    inner = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    outer = [ast.unparse(node) for node in ast.walk(tree) if node not in inner and _is_chain(node)]
    chains = [dotted.split(".") for dotted in dict.fromkeys(outer)]
    return [chain for chain in chains if chain[0] not in own]


def _own_names(tree):
    """Returns the names that mean a piece of code's own variables wherever it uses them."""
    scopes, own, others = [symtable.symtable(ast.unparse(tree), "", "exec")], set(), set()
    for scope in scopes:
        scopes += scope.get_children()
        for symbol in scope.get_symbols():
            is_own = scope.get_type() == "function" and not (
                symbol.is_global() or symbol.is_imported()
            )
            (own if is_own else others).add(symbol.get_name())
    return own - others


def _is_chain(node):
    """Returns whether a node is a name, or attributes of one: a.b.c, and no call between."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _digest(found):
    text = "\n".join(f"{name} {found[name]}" for name in sorted(found))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
