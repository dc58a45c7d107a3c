"""The other side of `moot maelstrom`: starts nodes, carries their messages, and cuts the network between some of them.

    with Network(3) as network:
        network.call("n0", {"type": "echo", "echo": 1}, timeout=2)     the answer's body, or None
        network.cut([{"n0"}, {"n1", "n2"}]); network.heal()

One thread a node reads what it says. Messages between nodes of different sides of a cut are dropped, as Maelstrom's
`partition` nemesis does; clients reach every node at all times.
"""
import itertools
import json
import os
import subprocess
import threading

MOOT = os.environ.get("MOOT", "build/moot")


class Network:
    def __init__(self, count):
        self.names = [f"n{i}" for i in range(count)]
        self.sides = None
        self.lock = threading.Lock()
        self.waiting = {}  # (client, msg_id): [event, body]
        self.numbers = itertools.count(1)
        self.carried = self.dropped = 0
        self.nodes = {name: subprocess.Popen([MOOT, "maelstrom"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                             stderr=subprocess.DEVNULL) for name in self.names}
        self.pipes = {name: threading.Lock() for name in self.names}
        self.threads = [threading.Thread(target=self.listen, args=(name,), daemon=True) for name in self.names]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        for name in self.names:
            body = self.call(name, {"type": "init", "node_id": name, "node_ids": self.names}, timeout=120)
            assert body and body["type"] == "init_ok", body
        return self

    def __exit__(self, *_):
        for node in self.nodes.values():
            node.stdin.close()
        self.statuses = [node.wait(timeout=120) for node in self.nodes.values()]
        for thread in self.threads:
            thread.join(timeout=120)
        for node in self.nodes.values():
            node.stdout.close()

    def cut(self, sides):
        self.sides = sides

    def heal(self):
        self.sides = None

    def is_cut(self, source, target):
        sides = self.sides
        return sides is not None and not any(source in side and target in side for side in sides)

    def give(self, message):
        name = message["dest"]
        with self.pipes[name]:
            try:
                self.nodes[name].stdin.write((json.dumps(message) + "\n").encode())
                self.nodes[name].stdin.flush()
            except (BrokenPipeError, ValueError):
                pass  # It has ended; the test sees that by its status.

    def listen(self, name):
        for line in self.nodes[name].stdout:
            message = json.loads(line)
            assert message["src"] == name, message
            if message["dest"] in self.nodes:
                if self.is_cut(name, message["dest"]):
                    self.dropped += 1
                else:
                    self.carried += 1
                    self.give(message)
                continue
            with self.lock:
                slot = self.waiting.pop((message["dest"], message["body"].get("in_reply_to")), None)
            if slot:
                slot[1] = message["body"]
                slot[0].set()

    def call(self, node, body, timeout, client="c1"):
        number = next(self.numbers)
        slot = [threading.Event(), None]
        with self.lock:
            self.waiting[client, number] = slot
        self.give({"src": client, "dest": node, "body": dict(body, msg_id=number)})
        slot[0].wait(timeout)
        with self.lock:
            self.waiting.pop((client, number), None)
        return slot[1]
