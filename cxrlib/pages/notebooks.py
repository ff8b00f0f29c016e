"""The notebooks: which there are, their parameters checked, their execution."""

import ast
import contextlib
import dataclasses
import json
import logging
import os
import re
import tempfile
from pathlib import Path

from cxrlib import files
from cxrlib.errors import InputError
from cxrlib.study import experiments, profiles, provenance

FRONT = "00-front-page"
"""The notebook behind the book's first page."""

_LONGEST = 80
"""Bytes: the name of a Unix socket has 104 at most (macOS; Linux: 108)."""


def names():
    """Lists the notebooks by name, in reading order: 01-data, ..."""
    return sorted(path.stem for path in (files.root() / "notebooks").glob("[!.]*.md"))


def code(name):
    """Returns the code of a notebook's cells, as one program."""
    import jupytext

    text = (files.root() / "notebooks" / f"{name}.md").read_text(encoding="utf-8")
    cells = jupytext.reads(text, fmt="md:myst").cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")


def made_from(name):
    """Lists what an executed notebook comes from, beside runs and kept numbers.

    Returns:
        A digest of the code that it executes, colours among it, and the experiments that it shows.
    """
    shown = [repr(experiments.EXPERIMENTS[letter]) for letter in needs(name)]
    tables = {"cxrlib.study.experiments.EXPERIMENTS"}
    return [provenance.digest_of_text(code(name), apart=tables), *shown]


def needs(name):
    """Lists the experiments whose runs a notebook shows.

    That of experiment X, called NN-experiment-x, needs X; others that ask `study` for runs need
    all of them.
    """
    letter = name.rpartition("-experiment-")[2].upper()
    if letter in experiments.EXPERIMENTS:
        return [letter]
    asks = re.search(r"\bstudy\.(ensure|every|by_experiment)\b", code(name))
    return list(experiments.EXPERIMENTS) if asks else []


def shown():
    """Lists the experiments whose runs any notebook shows, in their order."""
    needed = {letter for name in names() for letter in needs(name)}
    return [letter for letter in experiments.EXPERIMENTS if letter in needed]


_KEPT = ('"results"', "shortcuts.measured", "external.tested", "predict.default")
"""What a notebook's code says if it shows something that is kept in results/."""


def reads(name, profile):
    """Lists the numbers that a notebook may show beside runs, as paths from the study's folder.

    Those that are kept in results/ and, of a notebook that asks for runs that were tested
    elsewhere, those of the profile's own.
    """
    text, root = code(name), files.root()
    asked = ["results/**/*.csv"] if any(said in text for said in _KEPT) else []
    if "external.tested" in text:
        asked += [f"runs/{trial.folder_name}/*/*/external/*/*.csv" for trial in profile.trials]
    found = {path for pattern in asked for path in root.glob(pattern)}
    return sorted(str(path.relative_to(root)) for path in found)


def page(name):
    """Returns where in the study a notebook goes once it is executed: the book reads it there."""
    folder = Path("book")
    return folder / "index.ipynb" if name == FRONT else folder / "experiments" / f"{name}.ipynb"


def begin(namespace):
    """Turns a notebook's parameters into a profile; the first thing every notebook does.

    A notebook declares the parameters that a reader would turn. Papermill injects any others too;
    what neither gives is the profile's default. Papermill only warns of a name that the notebook
    does not declare, so a typo would silently run the default: here it is refused.

    Args:
        namespace: The notebook's `globals()`.

    Returns:
        A `profiles.Profile`.

    Raises:
        InputError: An unknown parameter, or a value of the wrong type or range, by name.
    """
    known = [field.name for field in dataclasses.fields(profiles.Profile)]
    given = dict.fromkeys([*known, *_injected(namespace.get("In", []))])
    return profiles.from_mapping({name: namespace[name] for name in given if name in namespace})


def _refuse_other(path):
    """Refuses to write over a file that is no executed notebook."""
    if not path.exists():
        return
    with contextlib.suppress(ValueError, KeyError, TypeError):
        if "papermill" in json.loads(path.read_text(encoding="utf-8"))["metadata"]:
            return
    raise InputError(f"{path} is there and no chapter was run into it: give another name")


def execute(name, profile, output):
    """Runs a notebook with a profile's parameters.

    Args:
        name: The notebook, 02-experiment-a say.
        profile: A `profiles.Profile`.
        output: Where the executed notebook goes; written whole or not at all. One that failed is
            kept beside it as `NN-name.failed.ipynb`, out of the book's way.

    Raises:
        InputError: No such notebook, it is damaged, the output is a file that was not made here,
            a cell failed (which one, and its error), or the folder for temporary files has too
            long a name.
        ChildProcessError: The machine ended the kernel.
    """
    import papermill
    from traitlets.config import Config

    source = files.root() / "notebooks" / f"{name}.ipynb"
    if not source.exists():
        raise InputError(f"no notebook {name!r}: there are {', '.join(names())}")
    # Papermill warns of parameters that a notebook does not declare, of which `begin` refuses the
    # unknown ones; what else it has to say is said below.
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    _refuse_other(Path(output))
    failed = files.root() / "runs" / f"{name}.failed.ipynb"
    options = {"kernel_name": "python3", "cwd": files.root(), "progress_bar": False}
    # A kernel remarks that it was ended; what fails in it is told otherwise.
    options["extra_arguments"] = ["--log-level=CRITICAL"]
    options["request_save_on_cell_execute"] = False  # nobody reads it before the last cell
    with files.replacing(Path(output)) as temporary, _sockets() as place:
        options["config"] = Config(KernelManager=place)
        try:
            papermill.execute_notebook(source, temporary, _changed(profile), **options)
        except papermill.PapermillExecutionError as error:
            failed.parent.mkdir(exist_ok=True)
            temporary.replace(failed)
            raise InputError(
                f"notebook {name}, cell {error.cell_index}: {error.ename}: {error.evalue}"
                f" (what it had done is in {failed})"
            ) from error
        except (ValueError, KeyError, papermill.PapermillException) as error:
            raise InputError(f"{source} is damaged ({error}): `cxr pair` makes it anew") from error
        except (RuntimeError, TimeoutError) as error:  # nbclient's and jupyter_client's words
            raise ChildProcessError(
                f"notebook {name}: its kernel was killed or never began: is memory short?"
            ) from error
        _fold_injected(temporary)
    failed.unlink(missing_ok=True)


@contextlib.contextmanager
def _sockets():
    """Makes a folder for the sockets of one kernel, and says to its manager where it is.

    A kernel that listens at ports instead is told free ones, which another program may take first.
    """
    with tempfile.TemporaryDirectory(prefix="cxr-") as folder:
        if len(os.fsencode(folder)) > _LONGEST:
            raise InputError(
                f"{tempfile.gettempdir()}, the folder for temporary files, has too long a name for"
                " a kernel's sockets: set TMPDIR to a shorter one"
            )
        yield {"transport": "ipc", "connection_file": str(Path(folder) / "kernel.json")}


def _fold_injected(path):
    """Folds or hides the cell that papermill injected, as the default parameters above it are."""
    import nbformat

    notebook = nbformat.read(path, 4)
    hidden = "hide-input"
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "parameters" in tags:
            hidden = next((tag for tag in tags if tag.endswith("-input")), hidden)
        if "injected-parameters" in tags:
            tags.append(hidden)
            cell.metadata["mystnb"] = {"code_prompt_show": "Parameters of this copy"}
    nbformat.write(notebook, path)


def _injected(history):
    """Lists the names that papermill's injected cell assigns, from the kernel's input history."""
    for source in history:
        if source.startswith("# Parameters\n"):
            assigned = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
            return [node.targets[0].id for node in assigned]
    return []


def _changed(profile):
    """Returns what a profile says otherwise than the default, as papermill takes it."""
    values, default = profiles.plain(profile), profiles.plain(profiles.Profile())
    return {name: value for name, value in values.items() if value != default[name]}
