# The run graph: arms, then notebooks, then the book. `cxr study` calls it; on a cluster the same
# file sends the arms out through one of Snakemake's executor plugins (see cluster/).
#
# Snakemake deletes outputs before it reruns a job, and a run folder must survive that to go on from
# its last epoch. So what it manages is the run packed as one file, which also reaches machines
# that share no disk; `cxr train` itself decides whether there is anything left to train.

from pathlib import Path

from cxrlib import study
from cxrlib.errors import InputError
from cxrlib.pages import book, notebooks
from cxrlib.study import experiments, profiles

PROFILE_FILE = config.get("profile", "profiles/quick.yml")
PROFILE = profiles.read(PROFILE_FILE)
TRIALS = {trial.folder_name: trial for trial in PROFILE.trials}
ARMS = {
    name: [arm.name for arm in PROFILE.experiment(name).arms] for name in experiments.EXPERIMENTS
}
CHAPTERS = [str(book.executed(PROFILE, name)) for name in notebooks.names()]


localrules:
    book,
    notebook,


def packed(experiments):
    return [f"runs/{t}/{e}/{arm}.zip" for t in TRIALS for e in experiments for arm in ARMS[e]]


def rivals(wildcards):
    """The arms of A that decide the initialisation of a "best" arm."""
    architecture, _, weights = wildcards.arm.partition("-")
    if weights != "best":
        return []
    of_it = [arm for arm in ARMS["A"] if arm.partition("-")[0] == architecture]
    return [f"runs/{wildcards.trial}/A/{arm}.zip" for arm in of_it]


def made_from(wildcards):
    """Returns what a run is made from, so that an arm is sent out again when `cxr train` would train."""
    trial = TRIALS[wildcards.trial]
    experiment = trial.experiment(wildcards.experiment)
    try:
        return study.inputs(trial, experiment, experiments.find_arm(experiment, wildcards.arm))
    except InputError as error:  # no data here: the arm itself says so, one line an arm
        return str(error)


rule book:
    input:
        local(CHAPTERS),
        local("_config.yml"),
        local([
            str(p)
            for p in Path("book").rglob("*")
            if p.is_file() and p.suffix != ".ipynb" and "api" not in p.parts  # made with the book
        ]),
    output:
        local(str(book.front(PROFILE))),
    shell:
        "cxr book --profile {PROFILE_FILE:q}"


rule arms:
    input:
        packed(ARMS),


rule arm:
    input:
        rivals,
    output:
        "runs/{trial}/{experiment}/{arm}.zip",
    params:
        seed=lambda wildcards: TRIALS[wildcards.trial].seed,
        fold=lambda wildcards: TRIALS[wildcards.trial].fold,
        made_from=made_from,
    threads: PROFILE.threads or workflow.cores
    shell:
        "cxr unpack {input} &&"
        " cxr train {wildcards.experiment} {wildcards.arm} --profile {PROFILE_FILE:q}"
        " --seed {params.seed} --fold {params.fold} --lines &&"
        " cxr pack runs/{wildcards.trial}/{wildcards.experiment}/{wildcards.arm} {output}"


rule notebook:
    input:
        local("notebooks/{chapter}.ipynb"),
        lambda wildcards: [local(path) for path in notebooks.reads(wildcards.chapter, PROFILE)],
        runs=lambda wildcards: packed(notebooks.needs(wildcards.chapter)),
    output:
        local(str(book.executed(PROFILE, "{chapter}"))),
    params:
        profile=PROFILE.folder_name,
        # What the chapter executes: another colour runs the chapters again that show it.
        made_from=lambda wildcards: notebooks.made_from(wildcards.chapter),
    shell:
        "cxr unpack {input.runs} && cxr notebook {wildcards.chapter} {output} --profile {PROFILE_FILE:q}"
