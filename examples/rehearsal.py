#!/usr/bin/python3
"""An application that counts exactly, whatever happens to its database.

    moot rehearse --seed 7 --faults crash-leader,partition,break-client --gap 1000 --seconds 20 &
    examples/rehearsal.py --ports 7101,7102,7103 --count 500

Every increment has a name (WITH ID). After a lost connection, an answer in doubt or a node that is gone the same
increment is sent again under the same name, perhaps to another node: it is done once. redis-py is used as it comes.
"""
import argparse
import sys
import time
import uuid

import redis

PATIENCE_SECONDS = 60
SURELY_NOT_DONE = ("CLUSTERDOWN", "TRYAGAIN", "OVERLOADED")


class Application:
    def __init__(self, ports):
        self.ports, self.at, self.clients = ports, 0, {}
        self.doubts = self.refusals = 0

    def client(self):
        port = self.ports[self.at]
        if port not in self.clients:
            self.clients[port] = redis.Redis(host="127.0.0.1", port=port, socket_timeout=5, socket_connect_timeout=5)
        return self.clients[port]

    def go_elsewhere(self):
        self.at = (self.at + 1) % len(self.ports)
        time.sleep(0.02)  # Not a rush on the next node.

    def once(self, *command):
        """One named write, until it is known to be done."""
        name = f"{int(time.time() * 1000)}:{uuid.uuid4()}"
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            try:
                return self.client().execute_command("WITH", "ID", name, *command)
            except redis.exceptions.ResponseError as error:
                word = str(error).split(" ")[0]
                if word == "INDOUBT":
                    self.doubts += 1
                elif word in SURELY_NOT_DONE:
                    self.refusals += 1
                else:
                    raise
            except redis.exceptions.RedisError:  # Lost, refused or silent: in doubt too.
                self.doubts += 1
            self.go_elsewhere()
        sys.exit(f"no answer for {PATIENCE_SECONDS} s")

    def read(self, key):
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            try:
                return self.client().get(key)
            except redis.exceptions.RedisError:
                self.go_elsewhere()
        sys.exit(f"no answer for {PATIENCE_SECONDS} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ports", default="7101,7102,7103")
    parser.add_argument("--count", type=int, default=500)
    options = parser.parse_args()
    application = Application([int(port) for port in options.ports.split(",")])
    key = f"counter:{uuid.uuid4()}"
    for _ in range(options.count):
        application.once("INCR", key)
    value = int(application.read(key) or 0)
    print(f"{options.count} increments, {application.doubts} answers in doubt, {application.refusals} refused: the counter says {value}")
    sys.exit(0 if value == options.count else 1)


main()
