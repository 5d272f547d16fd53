"""The hosts that other tests use: their links do what they are told, and nothing of them stays behind."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import hosts
import pytest
from hosts import Network

ECHO = """import socket
server = socket.create_server(('10.77.0.2', 5000))
while True:
    c, _ = server.accept()
    c.sendall(c.recv(9))"""
ASK = """import socket, time
begin = time.monotonic()
c = socket.create_connection(('10.77.0.2', 5000), timeout=2)
c.sendall(b'x'); c.recv(9)
print(time.monotonic() - begin)"""


@pytest.fixture
def network() -> Iterator[Network]:
    if missing := hosts.why_not():
        pytest.skip(missing)
    with hosts.network(2) as network:
        server = network.start(1, [sys.executable, "-c", ECHO], stdout=None, stderr=None)
        while network.run(0, [sys.executable, "-c", ASK])[0] != 0:
            time.sleep(0.1)
        yield network
        network.kill(1)
        server.wait()


def test_latency_and_a_cut(network: Network) -> None:
    """A connection and an answer go to and fro twice."""
    network.link(latency=0.05)
    assert float(network.run(0, [sys.executable, "-c", ASK])[1]) >= 0.2
    lost = network.traffic()[0].lost
    network.link(host=1, cut=True)
    assert network.run(0, [sys.executable, "-c", ASK])[0] != 0
    assert network.traffic()[0].lost > lost
    network.link(host=1, cut=False)
    assert network.run(0, [sys.executable, "-c", ASK])[0] == 0


def test_hosts_end_with_whoever_made_them() -> None:
    if missing := hosts.why_not():
        pytest.skip(missing)
    script = (
        f"import sys; sys.path.insert(0, {str(Path(hosts.__file__).parent)!r})\n"
        "import hosts, time\n"
        "with hosts.network(2) as network:\n"
        "    network.start(1, ['sleep', '1000'])\n"
        "    print(network._first(), flush=True)\n"
        "    time.sleep(100)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdout is not None
        switch = Path("/proc") / maker.stdout.readline().strip()
        assert switch.exists()
        maker.kill()
    deadline = time.monotonic() + 10
    while switch.exists():  # with it, the first process of its namespace, the kernel ends all others
        assert time.monotonic() < deadline
        time.sleep(0.05)
