"""Starting programs by MPI over the hosts of `hosts.py`, without ssh: Open MPI 4 and 5, and MPICH's Hydra."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Literal

from hosts import Network
from hosts import why_not as why_no_hosts

Launcher = Literal["Open MPI 4", "Open MPI 5", "MPICH"]


@cache
def launcher() -> Launcher | None:
    """Which `mpirun` is on the path."""
    if shutil.which("mpirun") is None:
        return None
    words = subprocess.run(["mpirun", "--version"], capture_output=True, text=True).stdout
    if "HYDRA" in words:
        return "MPICH"
    if "Open MPI" in words:
        return "Open MPI 4" if "Open MPI) 4." in words else "Open MPI 5"
    return None


def why_not_here() -> str | None:
    """Why nothing can be started by MPI on this host; None if it can."""
    if launcher() is None:
        return "needs mpirun of Open MPI or MPICH"
    return "needs mpi4py" if find_spec("mpi4py") is None else None


def why_not() -> str | None:
    """Why nothing can be started by MPI on several hosts here; None if it can."""
    return why_not_here() or why_no_hosts()


def mpirun_here(count: int, words: Sequence[str]) -> list[str]:
    """The command that starts so many processes on this host, more than it has cores perhaps."""
    many = ["--allow-run-as-root", "--oversubscribe"]
    more = {
        # It wants a program that starts others on other hosts, and takes any where there are none.
        "Open MPI 4": [*many, "--mca", "plm_rsh_agent", "sh"],
        "Open MPI 5": many,
        "MPICH": [],
    }
    used = launcher()
    assert used is not None
    return ["mpirun", *more[used], "-n", str(count), *words]


def mpirun(network: Network, ranks: Sequence[int], words: Sequence[str]) -> list[str]:
    """The command, for host 0, that starts one process for each of `ranks`: the number of its host."""
    count, agent = str(len(ranks)), str(network.agent)
    slots = {host: list(ranks).count(host) for host in ranks}
    listed = ",".join(f"{network.addresses[host]}:{number}" for host, number in slots.items())
    options = {
        "Open MPI 4": ["--allow-run-as-root", "--mca", "plm_rsh_agent", agent, "--host", listed],
        "Open MPI 5": ["--allow-run-as-root", "--prtemca", "plm_ssh_agent", agent, "--host", listed],
        "MPICH": ["-launcher", "ssh", "-launcher-exec", agent, "-iface", "eth0", "-hosts", listed],
    }
    used = launcher()
    assert used is not None
    return ["mpirun", *options[used], "-n", count, *words]
