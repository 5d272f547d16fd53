"""The hosts of `hosts.py` and the switch between them, as one program: `host_switch.py COUNT DIRECTORY MTU`.

It is the first process of a PID namespace of its own, so that the kernel ends every process of every host with it, and
it ends when its stdin does: nothing stays behind, whatever became of the test. Each host is a network namespace with a
TUN device, whose packets this program carries to the others, late, lost or not at all, as it is told meanwhile: a line
of JSON on stdin sets links or asks for counts, a line on stdout answers.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ADDRESS = "10.77.0.{}"
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWNET = 0x20000, 0x4000000, 0x8000000, 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x1, 0x1000
LONGEST_QUEUE = 0.05  # seconds of a link's time that wait before it drops, as a switch with a buffer does
AT_ONCE = 64  # packets of one host before the others have their turn


@dataclass
class Link:
    """What a host's cable does: latency one way in seconds, share lost, bits a second (0: no bound), cut or not."""

    latency: float = 0.0
    loss: float = 0.0
    bandwidth: float = 0.0
    cut: bool = False


class Host:
    def __init__(self, number: int, directory: Path, mtu: int) -> None:
        self.address = ADDRESS.format(number + 1)
        self.link = Link()
        self.free = [0.0, 0.0]  # when the cable can send and receive again
        self.sent = self.packets = self.lost = 0
        self.tun = _enter_new_host(f"host{number + 1}")
        for words in (
            f"addr add {self.address}/24 dev eth0",
            f"link set eth0 up mtu {mtu} txqueuelen 1000",
            "link set lo up",
        ):
            subprocess.run(["ip", *words.split()], check=True)
        self.key = socket.inet_aton(self.address)
        self.namespace = os.stat("/proc/self/ns/net").st_ino
        holder = subprocess.Popen(["sleep", "infinity"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        (directory / self.address).write_text(str(holder.pid))


def _enter_new_host(name: str) -> int:
    """Moves this process into new namespaces, and opens their TUN device."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    socket.sethostname(name)
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"eth0", IFF_TUN | IFF_NO_PI))
    return tun


class Switch:
    def __init__(self, hosts: list[Host]) -> None:
        self.hosts = hosts
        self.by_tun = {host.tun: host for host in hosts}
        self.by_address = {host.key: host for host in hosts}
        self.waiting: list[tuple[float, int, int, bytes]] = []  # when, order, to which device, packet
        self.count = 0
        self.random = random.Random(0)

    def run(self) -> None:
        """Carries packets until stdin ends."""
        inputs = [0, *self.by_tun]
        while True:
            timeout = max(0.0, self.waiting[0][0] - time.monotonic()) if self.waiting else None
            for ready in select.select(inputs, [], [], timeout)[0]:
                if ready == 0:
                    line = sys.stdin.readline()
                    if not line:
                        return
                    self.answer(json.loads(line))
                else:
                    self.read(self.by_tun[ready])
            now = time.monotonic()
            while self.waiting and self.waiting[0][0] <= now:
                _, _, tun, packet = heapq.heappop(self.waiting)
                self.write(tun, packet)

    def answer(self, request: dict[str, object]) -> None:
        numbers = range(len(self.hosts)) if request["host"] is None else [request["host"]]
        for number in numbers:
            host = self.hosts[number]  # type: ignore[call-overload]
            for name, value in request["link"].items():  # type: ignore[attr-defined]
                setattr(host.link, name, value)
        counts = [{"bytes": host.sent, "packets": host.packets, "lost": host.lost} for host in self.hosts]
        print(json.dumps(counts), flush=True)

    def read(self, host: Host) -> None:
        for _ in range(AT_ONCE):
            try:
                packet = os.read(host.tun, 65536)
            except BlockingIOError:
                return
            to = self.by_address.get(packet[16:20])  # where IPv4 has the destination; of IPv6 no byte fits
            if to is not None and packet[0] >> 4 == 4:
                host.sent += len(packet)
                host.packets += 1
                self.carry(host, to, packet)

    def carry(self, source: Host, to: Host, packet: bytes) -> None:
        out, into = source.link, to.link
        loss = max(out.loss, into.loss)  # a way is as good as the worse of its two cables
        if out.cut or into.cut or (loss and self.random.random() < loss):
            source.lost += 1
            return
        latency = max(out.latency, into.latency)
        slowest = min((link.bandwidth for link in (out, into) if link.bandwidth), default=0.0)
        if not latency and not slowest:
            self.write(to.tun, packet)
            return
        now = time.monotonic()
        begin = max(now, source.free[0], to.free[1]) if slowest else now
        if begin - now > LONGEST_QUEUE:
            source.lost += 1
            return
        if slowest:
            begin += 8 * len(packet) / slowest
            source.free[0] = to.free[1] = begin
        self.count += 1
        heapq.heappush(self.waiting, (begin + latency, self.count, to.tun, packet))

    def write(self, tun: int, packet: bytes) -> None:
        try:
            os.write(tun, packet)
        except OSError:  # a full device: one packet lost
            self.by_tun[tun].lost += 1


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the first process inherits orphans, and never waits for them
    count, directory, mtu = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    hosts = [Host(number, directory, mtu) for number in range(count)]
    print(json.dumps([{"address": host.address, "namespace": host.namespace} for host in hosts]), flush=True)
    os.nice(-10)  # it is the cable, not one of the programs that share the processors
    Switch(hosts).run()


if __name__ == "__main__":
    main()
