"""One book a study: its executed chapters, bound with the prose pages of `book/`."""

import filecmp
import shutil
import subprocess
import sys
from pathlib import Path

from cxrlib import files
from cxrlib.errors import InputError
from cxrlib.pages import notebooks

BUILT = Path("_build")
"""Where books are, from the study's folder: a folder a study, and `html`, the last one made."""


def executed(profile, name):
    """Returns where in the study a chapter goes once it is executed.

    Args:
        profile: A `profiles.Profile`.
        name: A chapter, 02-experiment-a say.
    """
    return BUILT / profile.name / "chapters" / f"{name}.ipynb"


def front(profile):
    """Returns where in the study the first page of a study's book is."""
    return BUILT / profile.name / "_build" / "html" / "index.html"  # Jupyter Book's own folders


def bind(profile):
    """Builds the book of a study whose chapters are all executed.

    The chapters are copied to their places in `book/`, where `jupyter-book build book` finds them
    too. Those of another study give way; its book stays as it was.

    Raises:
        InputError: A chapter was not executed yet, or the book could not be built.
    """
    root = files.root()
    pages = {
        root / notebooks.page(name): root / executed(profile, name) for name in notebooks.names()
    }
    missing = [source.stem for source in pages.values() if not source.exists()]
    if missing:
        raise InputError(f"{', '.join(missing)} not executed yet: `cxr study` does so")
    for other in set((root / "book" / "experiments").glob("*.ipynb")) - set(pages):
        other.unlink()
    for page, source in pages.items():
        page.parent.mkdir(exist_ok=True)
        if not page.exists() or not filecmp.cmp(source, page, shallow=False):
            shutil.copyfile(source, page)  # else Sphinx would read the page again
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "--quiet", "book"]
    target = ["--path-output", str(BUILT / profile.name)]
    # Its warnings are for whoever builds the book; that it was built is said by `cxr study`.
    built = subprocess.run([*command, *target], cwd=root, stdout=subprocess.PIPE, text=True)
    if built.returncode:
        print(built.stdout, file=sys.stderr)
        raise InputError("the book could not be built: see above")


def show(profile):
    """Makes `_build/html` lead to a study's book, and returns the book's first page."""
    root = files.root()
    link, page = root / BUILT / "html", front(profile)
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)  # a book that `jupyter-book build` left there
    new = link.with_name(".html")
    new.unlink(missing_ok=True)
    new.symlink_to(page.parent.relative_to(BUILT), target_is_directory=True)
    new.replace(link)
    return root / page
