"""pyproject.toml, requirements.lock and environment.yml say the same."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WANTED = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
LOCK = (ROOT / "requirements.lock").read_text()


def bounds(requirement):
    name, rest = re.match(r"([A-Za-z0-9._-]+)(.*)", requirement).groups()
    return name, [re.match(r"([<>=]+)(.+)", part).groups() for part in rest.split(",") if part]


def version(text):
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def test_the_conda_environment_lists_what_pyproject_lists():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    listed = next(item["pip"] for item in conda if isinstance(item, dict))
    assert listed == [*WANTED, "--editable ."]
    assert f"python{PROJECT['requires-python']}" in conda


def test_the_lock_pins_every_dependency_within_its_bounds():
    pins = re.findall(r"^([a-z0-9._-]+)==(\S+)", LOCK, re.MULTILINE)
    for requirement in WANTED:
        name, limits = bounds(requirement)
        versions = [version(pinned) for pin, pinned in pins if pin == name]
        assert versions, f"{name} is not in requirements.lock: make lock"
        for pinned in versions:
            for sign, limit in limits:
                holds = pinned >= version(limit) if sign == ">=" else pinned < version(limit)
                assert holds, f"{name} {pinned} in the lock, {requirement} in pyproject: make lock"


def test_the_lock_holds_hashes_and_no_index_address():
    assert "://" not in LOCK
    for block in re.split(r"\n(?=[a-z0-9])", LOCK):
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_every_dependency_has_its_reason():
    text = (ROOT / "pyproject.toml").read_text()
    for requirement in WANTED:
        line = next(line for line in text.splitlines() if f'    "{requirement}",' in line)
        assert "#" in line, f"{requirement} has no reason beside it"
