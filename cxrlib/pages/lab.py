"""How JupyterLab opens and saves the study's notebooks.

JupyterLab asks here because notebooks/jupyter_lab_config.json tells it to; the environment that
`make` sets up links to that file.
"""

import contextlib
import json
from pathlib import Path

from jupytext import AsyncTextFileContentsManager
from tornado.web import HTTPError

from cxrlib import files
from cxrlib.errors import InputError
from cxrlib.pages import pairs


class Chapters(AsyncTextFileContentsManager):
    """Reads and writes both halves of a notebook as Jupytext does, and leaves them in step.

    What a save leaves differs from what was there in nothing but what was edited: no outputs, no
    counts, the text in the form that it had. Files elsewhere are as Jupytext makes them.
    """

    async def get(self, path, content=True, type=None, **options):
        """Reads a file; the halves of a notebook are brought in step before."""
        name = self._chapter(path)
        if name and content and type in (None, "notebook"):
            with _shown():
                pairs.settle(name)
        return await super().get(path, content=content, type=type, **options)

    async def save(self, model, path=""):
        """Writes a file; a notebook never over an edit that it has not seen."""
        name = self._chapter(path)
        if name is None or model["type"] != "notebook":
            return await super().save(model, path)
        with _shown():
            older = pairs.check(name, json.dumps(model["content"]))
        saved = await super().save(model, path)
        with _shown():
            pairs.settle(name, older)
        return saved | await self.get(path, content=False)

    def _chapter(self, path):
        """Names the notebook that a file is a half of; None for a file of another kind or place."""
        file = Path(self._get_os_path(path.strip("/"))).resolve()
        with contextlib.suppress(InputError):  # JupyterLab was started outside the study
            if file.parent == (files.root() / "notebooks").resolve():
                return file.stem if file.suffix in (".md", ".ipynb") else None
        return None


@contextlib.contextmanager
def _shown():
    """Has JupyterLab show what a user did that cannot work."""
    try:
        yield
    except InputError as error:
        raise HTTPError(409, str(error)) from error
