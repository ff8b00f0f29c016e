"""A small chapter, both halves of it, and edits of its .ipynb."""

import json

from cxrlib.pages import pairs

TEXT = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A chapter

What it asks.

```{code-cell} ipython3
:tags: [hide-input]

answer = 6 * 7
```

The answer.

```{code-cell} ipython3
---
mystnb:
  figure:
    caption: "A caption that is long, longer than any line that Jupytext would leave as it is."
    name: fig-answer
---
draw(answer)
```

What it means.
"""
NOTEBOOK = pairs.agree("chapter", TEXT, None)[1]


def edited(change, notebook=NOTEBOOK):
    """Returns the .ipynb after a change of its content."""
    content = json.loads(notebook)
    change(content)
    return json.dumps(content)


def cell(source, kind="markdown"):
    outputs = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return {"cell_type": kind, "id": "mine", "metadata": {}, "source": source, **outputs}


def say(notebook, number=-1, words="Said in the .ipynb."):
    notebook["cells"][number]["source"] += [f"\n{words}"]
