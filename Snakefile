# The run graph: arms, then notebooks, then the book. `cxr study` calls it; on a cluster the same
# file runs through one of Snakemake's executor plugins.
#
# An arm's "done" mark is all that Snakemake manages: it deletes outputs before it reruns a job, and
# a run folder must survive that to go on from its last epoch. `cxr train` itself decides whether
# there is anything left to train.

from pathlib import Path

from cxrlib import files, notebooks, profiles, study

PROFILE_FILE = config.get("profile", "profiles/quick.yml")
PROFILE = profiles.read(PROFILE_FILE)
TRIALS = {trial.folder_name: trial for trial in PROFILE.trials}
ARMS = {name: [arm.name for arm in PROFILE.experiment(name).arms] for name in "ABC"}
MADE_FROM = ("phantom/*", "cohort", "readers", "decode", "images", "augment", "experiments",
             "models")
SHOWN = [str(p) for pattern in ("cxrlib/**/*.py", "cxrlib/facts/*.csv", "results/**/*.csv")
         for p in Path().glob(pattern)]
NOTEBOOK_NEEDS = {"02-experiment-a": "A", "03-experiment-b": "B", "04-experiment-c": "C",
                  "05-comparison": "ABC", "07-shortcuts": "ABC", "09-how-this-was-run": "ABC",
                  "10-gallery": "ABC", "11-sanity": "A"}


def done(experiments):
    return [f"runs/{t}/{e}/{arm}/done" for t in TRIALS for e in experiments for arm in ARMS[e]]


def rivals(wildcards):
    """The arms of A that decide the initialisation of an arm of B or C."""
    architecture, _, weights = wildcards.arm.partition("-")
    if weights != "best":
        return []
    return [
        f"runs/{wildcards.trial}/A/{arm}/done" for arm in ARMS["A"] if arm.startswith(architecture)
    ]


rule book:
    input:
        expand("book/experiments/{name}.ipynb", name=notebooks.names()),
        "_config.yml",
        [str(p) for p in Path("book").rglob("*") if p.is_file() and "experiments" not in p.parts],
    output:
        "_build/html/index.html",
    shell:
        "jupyter-book build --quiet book"


rule arms:
    input:
        done("ABC"),


rule arm:
    input:
        rivals,
        [str(p) for module in MADE_FROM for p in Path("cxrlib").glob(f"{module}.py")],
    output:
        touch("runs/{trial}/{experiment}/{arm}/done"),
    params:
        seed=lambda wildcards: TRIALS[wildcards.trial].seed,
        fold=lambda wildcards: TRIALS[wildcards.trial].fold,
    threads: PROFILE.threads or workflow.cores
    shell:
        "cxr train {wildcards.experiment} {wildcards.arm} --profile {PROFILE_FILE}"
        " --seed {params.seed} --fold {params.fold} --lines"


rule notebook:
    input:
        lambda wildcards: done(NOTEBOOK_NEEDS.get(wildcards.name, "")),
        "notebooks/{name}.ipynb",
        SHOWN,
    output:
        "book/experiments/{name}.ipynb",
    params:
        profile=PROFILE.folder_name,
    shell:
        "cxr notebook {wildcards.name} {output} --profile {PROFILE_FILE}"
