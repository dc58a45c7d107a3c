"""Clients of a live cluster while a test does things to its nodes, and what they saw.

    with Load(cluster, seed) as load:
        load.fault(2): ... the node is not what its clients may count on; ended by load.healed(2)
    load.judge()     TAP lines: every model's history judged by `moot check`
"""
import json
import os
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import tap
from cluster import BUILD, MOOT, wait_for

MODELS = ("register", "counter", "append", "set", "queue")
KEPT_SECONDS = 5.0  # For which a node keeps a request.
SLACK_SECONDS = 1.0  # After a node serves again, what its clients had sent before may still fail.
FINISH_SECONDS = 300
WORK_SECONDS = 120


def chosen_seed():
    seed = int(os.environ.get("MOOT_LIVE_SEED", random.SystemRandom().randrange(1, 1 << 31)))
    print(f"# MOOT_LIVE_SEED={seed}", flush=True)
    return seed


def chosen_seconds(default):
    return float(os.environ.get("MOOT_LIVE_SECONDS", default))


class Stalls:
    """When the machine itself stood still: a thread that only sleeps woke up late. No node can be blamed for it."""
    STEP_S, LATE_S = 0.05, 1.0

    def __init__(self):
        self.found, self.over = [], threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        before = time.monotonic()
        while not self.over.wait(self.STEP_S):
            now = time.monotonic()
            if now - before > self.LATE_S:
                self.found.append((before, now))
            before = now

    def end(self):
        self.over.set()
        self.thread.join()
        for begin, end in self.found:
            print(f"# this machine stood still for {end - begin:.1f} s")


class Load:
    def __init__(self, cluster, seed, clients=12, ports=None):
        self.cluster = cluster
        self.folder = tempfile.mkdtemp(prefix="load-", dir=cluster.folder)
        self.faults = []  # [port, begin, end or None]
        self.events, self.counts = [], {}
        self.stalls = Stalls()
        ports = ",".join(str(port) for port in ports or cluster.ports)
        # Its standard input is a pipe from us: when we are gone, it ends.
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "live_load"), "--port", ports, "--clients", str(clients), "--seed", str(seed), "--out", self.folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.process.kill()
        out, _ = self.process.communicate(timeout=FINISH_SECONDS)
        self.stalls.end()
        if kind is not None:
            return
        if self.process.returncode != 0:
            raise RuntimeError(f"live_load ended with {self.process.returncode}")
        self.counts = json.loads(out)
        with open(os.path.join(self.folder, "events"), encoding="utf-8", errors="replace") as file:
            self.events = [json.loads(line, strict=False) for line in file]

    def work(self, count, through=None):
        """Waits until clients have read and written `count` times more through each node, or only `through`: work that is
        certain, where a pause would hope for it."""
        for node in [through] if through else range(1, len(self.cluster.ports) + 1):
            def done(node=node):
                with socket.create_connection(("127.0.0.1", self.cluster.port(node)), timeout=60) as link:
                    link.sendall(b"INFO stats\r\nQUIT\r\n")
                    text = link.makefile("rb").read()
                return sum(int(text.split(name)[1].split(b"\r")[0]) for name in (b"moot_reads:", b"moot_writes:"))
            first = done()
            wait_for(lambda begun=first: done() >= begun + count, WORK_SECONDS, f"clients do {count} things through node {node}")

    def fault(self, node):
        self.faults.append([self.cluster.port(node), time.monotonic(), None])

    def healed(self, node):
        """Waits until the node serves writes again."""
        self.cluster.serves(node)
        for fault in self.faults:
            if fault[0] == self.cluster.port(node) and fault[2] is None:
                fault[2] = time.monotonic() + SLACK_SECONDS

    def is_excused(self, event):
        """The node that the client talked to was itself struck, at some time of the request; or all of this machine was."""
        begin = event["at"] - event["took_ms"] / 1000
        struck = any(port == event["port"] and begin <= (end or event["at"]) and event["at"] >= start
                     for port, start, end in self.faults)
        return struck or any(begin <= end + KEPT_SECONDS and event["at"] >= start for start, end in self.stalls.found)

    def judge(self, least_ok=100):
        print(f"# {json.dumps(self.counts)}, {len(self.events)} events")
        tap.ok(self.counts.get("ok", 0) >= least_ok, f"at least {least_ok} operations were acknowledged", self.counts)
        wrong = [event for event in self.events if event["what"] == "unexpected"]
        tap.ok(not wrong, "no client got an answer that it should not", "\n".join(map(json.dumps, wrong[:20])))
        for model in MODELS:
            path = os.path.join(self.folder, model)
            done = subprocess.run([MOOT, "check", "--history", path, "--model", model], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)
            if not tap.ok(done.returncode == 0, f"the history of model {model} is valid", done.stdout.decode(errors="replace")[-6000:]):
                self.keep(model)

    def keep(self, model):
        """For who looks into it: the histories stay."""
        kept = os.path.join(BUILD, "failed-histories")
        os.makedirs(kept, exist_ok=True)
        name = os.path.join(kept, f"{model}-{os.getpid()}")
        shutil.copy(os.path.join(self.folder, model), name)
        print(f"# kept as {name}")

    def judge_pinned(self, pause_max_s):
        """Clients that stayed with a healthy node saw pauses, no errors, while others were struck."""
        pinned = [event for event in self.events if event["pinned"] and not self.is_excused(event)]
        wrong = [event for event in pinned if event["what"] != "slow"]
        tap.ok(not wrong, "clients of surviving nodes saw no error", "\n".join(map(json.dumps, wrong[:20])))
        longest = max((event["took_ms"] for event in pinned), default=0.0)
        print(f"# the longest pause of a client of a surviving node: {longest:.0f} ms")
        tap.ok(longest <= pause_max_s * 1000, f"and no pause longer than {pause_max_s} s",
               "\n".join(json.dumps(event) for event in sorted(pinned, key=lambda event: -event["took_ms"])[:10]))
