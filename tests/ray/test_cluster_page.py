"""What docs/cluster.md shows can be pasted: manifest, script, and every command with its options."""

from __future__ import annotations

import re
import shlex
import subprocess
from importlib import import_module
from pathlib import Path

import click
import pytest
import yaml

PAGE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text(encoding="utf-8")
SECTION = PAGE[PAGE.index("## Batch jobs over Ray") :]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)


def parsed(line: str) -> click.Context:
    """The command line, read as attnkit reads it."""
    _, name, *arguments = shlex.split(line, comments=True)
    command: click.Command = import_module(f"attnkit.cli.{name}").command
    return command.make_context(name, arguments)


def commands() -> list[str]:
    """Those of the section, in blocks of any kind."""
    lines = [line.strip() for line in re.sub(r"\\\n\s*", "", SECTION).splitlines()]
    return [line for line in lines if line.startswith("attnkit ")]


def test_the_kubernetes_manifest_is_one() -> None:
    [job] = map(yaml.safe_load, blocks("yaml"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())  # KubeRay takes no numbers
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            assert container["image"] and container["resources"]["limits"]
    context = parsed(job["spec"]["entrypoint"])
    cpus = min(int(group["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"]) for group in groups[1:])
    assert context.params["ray"] == "auto" and context.params["threads"] <= cpus


def test_the_slurm_script_is_one() -> None:
    [script] = blocks("bash")
    assert script.startswith("#!/bin/bash\n#SBATCH ")
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("line", commands())
def test_every_command_is_one(line: str) -> None:
    assert parsed(line).params["ray"]


def test_every_option_that_is_explained_is_one() -> None:
    names = set(re.findall(r"^\| `(--[a-z-]+)", SECTION, re.MULTILINE))
    for name in ("translate", "caption", "classify", "embed"):
        command: click.Command = import_module(f"attnkit.cli.{name}").command
        options = {option for parameter in command.params for option in parameter.opts}
        assert names and names <= options
