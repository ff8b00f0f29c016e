"""A finished study as one file, to be archived and cited: an RO-Crate.

A zip file with the book, the settings and the tables of each run, whose ro-crate-metadata.json says
in words that archives and search engines read what is in it, who made it, with what and from what
(Soiland-Reyes et al. 2022, https://doi.org/10.3233/DS-210053; https://w3id.org/ro/crate).
"""

import io
import platform

import yaml

from cxrlib import files, study
from cxrlib.errors import InputError
from cxrlib.pages import book, notebooks
from cxrlib.study import elsewhere, keeping, outlook, profiles, runs

METADATA = "ro-crate-metadata.json"
LICENSES = {
    "CC BY 4.0": "https://creativecommons.org/licenses/by/4.0/",
    "MIT": "https://spdx.org/licenses/MIT",
}
"""Of text, figures and numbers, and of the code: as LICENSE-text and LICENSE say."""


def write(profile, path):
    """Writes a study as an RO-Crate: all but its radiographs, networks and single heatmaps.

    Pictures are in it where the book shows them: look at what a study of your own radiographs
    shows before you publish it.

    Args:
        profile: A `profiles.Profile`.
        path: The zip file.

    Raises:
        InputError: An arm has something left to do, the book is not built, or the file is there and
            is no crate.
    """
    from rocrate.rocrate import ROCrate  # a second: what it downloads by comes with it

    if path.exists() and METADATA not in files.zipped(path):
        raise InputError(f"{path} is there and is no RO-Crate: give another name")
    left, _ = outlook.tasks(profile, notebooks.shown())
    pages = (files.root() / book.front(profile)).parent
    if left or not pages.is_dir():
        raise InputError(f"study {profile.name} is not finished: `cxr study` goes on with it")
    cited = yaml.safe_load((files.root() / "CITATION.cff").read_text(encoding="utf-8"))
    crate = ROCrate()
    crate.name, crate.description = f"{cited['title']}: study {profile.name}", cited["abstract"]
    text, of_code = (
        crate.add_jsonld({"@id": place, "@type": "CreativeWork", "name": name})
        for name, place in LICENSES.items()
    )
    crate.license, crate.keywords = text, cited["keywords"]
    crate.creator = [
        crate.add_jsonld({"@id": f"#author-{i}", "@type": "Organization", **author})
        for i, author in enumerate(cited["authors"])
    ]
    code = crate.add_jsonld({
        "@id": "#cxrlib", "@type": "SoftwareApplication", "name": "cxrlib",
        "version": cited["version"], "license": {"@id": of_code.id},
        "softwareRequirements": f"Python {platform.python_version()} and requirements.lock",
    })  # fmt: skip
    settings = crate.add_file(
        io.StringIO(_settings(profile)), "profile.yml", properties={"name": "The study's settings"}
    )
    for name in ("requirements.lock", "CITATION.cff", "LICENSE", "LICENSE-text"):
        crate.add_file(files.root() / name, name)
    crate.add_dataset(pages, "book", properties={"name": "The book: begin with index.html"})
    for trial in profile.trials:
        for run in runs.load_all(study.folder(trial)):
            _add_run(crate, run, code, settings)
    with files.replacing(path) as temporary:
        crate.write_zip(temporary)


def _add_run(crate, run, code, settings):
    """Adds what a run made, and that the code made it of the settings; or why it was not run."""
    place = run.folder.relative_to(files.root())
    made = [crate.add_file(run.folder / name, place / name) for name in _tables(run.folder)]
    ended = run.info["state"] == runs.FINISHED
    about = {
        "name": f"Experiment {run.experiment}, {run.info['arm']}, seed {run.info['seed']}",
        "actionStatus": f"http://schema.org/{'Completed' if ended else 'Failed'}ActionStatus",
    }
    if not ended:
        about["error"] = run.info["reason"]
    crate.add_action(code, f"#{place}", object=[settings], result=made, properties=about)


def _tables(folder):
    """Lists what a run says in words and numbers, by names within its folder."""
    there = [folder / name for name in keeping.KEPT]
    there += [file for name in elsewhere.FILES for file in folder.glob(f"external/*/{name}")]
    return sorted(str(file.relative_to(folder)) for file in there if file.is_file())


def _settings(profile):
    """Writes a profile without the place of its radiographs, which is nobody else's."""
    return yaml.safe_dump(profiles.plain(profile) | {"data": ""}, sort_keys=False)
