#!/usr/bin/env python3
"""A network in user space: one network namespace a node, in each a tun device, and this process between them. What one node sends to
another goes through that ordered pair's wire, which can be cut, slow, lossy and narrow.

Commands come on standard input, one a line; each is answered on standard output with one line, `ok ...` or `error ...`, once it is in
force. The end of the input is the end of everything: namespaces and devices have no names and are gone with the processes in them.

  node ADDRESS                      a namespace whose only neighbours are those of this network; ok PATH (for nsenter --net=PATH)
  wire FROM TO [KEY=VALUE ...]      how packets go from one address to another ("*": any); what is not named is as at the start:
    cut=1                           nothing comes through, and what is under way is lost
    delay=MS jitter=MS              jitter is added, without changing the order
    loss=PERCENT                    of packets, by chance (`seed`)
    rate=BYTES                      a second; at most 256 KiB wait, what comes then is lost
    reorder=PERCENT                 of packets, that overtake those before them
  seed NUMBER
  traffic                           packets carried and lost since the start: ok CARRIED LOST

Needs root (CAP_NET_ADMIN, CAP_SYS_ADMIN) and /dev/net/tun.
"""
import collections
import ctypes
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import sys
import time

MTU = 1500
CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFMTU = 0x8914, 0x8916, 0x891C, 0x8922
IFF_UP, IFF_RUNNING = 0x1, 0x40
MOST_WAITING = 256 * 1024

libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def raised(sock, name, *requests):
    """Configures the interface and brings it up."""
    for request, value in requests:
        fcntl.ioctl(sock, request, struct.pack("16s24s", name, value))
    fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH22x", name, IFF_UP | IFF_RUNNING))


def inet(address):
    return struct.pack("HH4s", socket.AF_INET, 0, socket.inet_aton(address))


class Wire:
    """From one node to another. Packets leave it in the order in which they came in, unless it is told to let some overtake."""

    def __init__(self):
        self.number = self.lost_below = 0
        self.free_at = self.last = 0.0
        self.set({})

    def set(self, values):
        self.cut = values.pop("cut", 0) > 0
        self.delay = values.pop("delay", 0) / 1000
        self.jitter = values.pop("jitter", 0) / 1000
        self.loss = values.pop("loss", 0) / 100
        self.rate = values.pop("rate", 0)
        self.reorder = values.pop("reorder", 0) / 100
        if values:
            raise ValueError("unknown: " + " ".join(values))
        # What came in before it was cut, and is not out yet, is lost.
        if self.cut:
            self.lost_below = self.number

    def arrival(self, now, size):
        """When a packet comes out at the other end; None: never."""
        if self.cut or (self.loss and random.random() < self.loss):
            return None
        at = now
        if self.rate:
            if (self.free_at - now) * self.rate > MOST_WAITING:
                return None
            self.free_at = max(self.free_at, now) + size / self.rate
            at = self.free_at
        if self.reorder and random.random() < self.reorder:
            return at
        self.last = max(self.last, at + self.delay + (random.random() * self.jitter if self.jitter else 0))
        return self.last


class Hub:
    def __init__(self):
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.poll = select.poll()
        self.poll.register(0, select.POLLIN)
        self.tuns = {}  # fd -> address as bytes
        self.nodes = {}  # address as bytes -> fd
        self.wires = collections.defaultdict(Wire)
        self.under_way = []
        self.count = 0
        self.carried = self.lost = 0
        self.typed = b""

    def node(self, address):
        key = socket.inet_aton(address)
        if key in self.nodes:
            raise ValueError(address + " is there already")
        checked(libc.unshare(CLONE_NEWNET))
        try:
            space = os.open("/proc/self/ns/net", os.O_RDONLY)
            tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"net0", IFF_TUN | IFF_NO_PI))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                raised(sock, b"lo")
                raised(sock, b"net0", (SIOCSIFADDR, inet(address)), (SIOCSIFNETMASK, inet("255.255.255.0")),
                       (SIOCSIFMTU, struct.pack("i", MTU)))
        finally:
            checked(libc.setns(self.home, CLONE_NEWNET))
        self.nodes[key] = tun
        self.tuns[tun] = key
        self.poll.register(tun, select.POLLIN)
        return f"/proc/{os.getpid()}/fd/{space}"

    def wire(self, source, target, *pairs):
        values = {key: float(value) for key, value in (pair.split("=") for pair in pairs)}
        for start in self.chosen(source):
            for end in self.chosen(target):
                if start != end:
                    self.wires[start, end].set(dict(values))
        return ""

    def chosen(self, address):
        if address == "*":
            return list(self.nodes)
        key = socket.inet_aton(address)
        if key not in self.nodes:
            raise ValueError("no node " + address)
        return [key]

    def seed(self, number):
        random.seed(int(number))
        return ""

    def traffic(self):
        return f"{self.carried} {self.lost}"

    def command(self, line):
        name, *args = line.split()
        if name not in ("node", "wire", "seed", "traffic"):
            raise ValueError("unknown command " + name)
        return getattr(self, name)(*args)

    def commands(self):
        """False: nobody will command any more."""
        chunk = os.read(0, 65536)
        *lines, self.typed = (self.typed + chunk).split(b"\n")
        for line in lines:
            try:
                answer = "ok " + self.command(line.decode())
            except (OSError, ValueError, TypeError) as fault:
                answer = f"error {fault}"
            print(answer.strip(), flush=True)
        return len(chunk) > 0

    def taken(self, tun):
        """What a node has sent."""
        now = time.monotonic()
        for _ in range(64):
            try:
                packet = os.read(tun, 65536)
            except BlockingIOError:
                return
            target = packet[16:20]
            if packet[0] >> 4 != 4 or target not in self.nodes:
                continue
            wire = self.wires[self.tuns[tun], target]
            at = wire.arrival(now, len(packet))
            if at is None:
                self.lost += 1
            elif at <= now and not self.under_way:
                self.given(target, packet)
            else:
                wire.number += 1
                self.count += 1
                heapq.heappush(self.under_way, (at, self.count, wire, wire.number, target, packet))

    def given(self, target, packet):
        try:
            os.write(self.nodes[target], packet)
            self.carried += 1
        except OSError:
            self.lost += 1

    def arrived(self):
        """Gives out what is due; returns the milliseconds until the next is."""
        now = time.monotonic()
        while self.under_way:
            at, _, wire, number, target, packet = self.under_way[0]
            if at > now:
                return (at - now) * 1000
            heapq.heappop(self.under_way)
            if number <= wire.lost_below:
                self.lost += 1
            else:
                self.given(target, packet)
        return None

    def run(self):
        while True:
            for fd, _ in self.poll.poll(self.arrived()):
                if fd != 0:
                    self.taken(fd)
                elif not self.commands():
                    return


if __name__ == "__main__":
    try:
        hub = Hub()
    except OSError as fault:
        sys.exit(str(fault))
    hub.run()
