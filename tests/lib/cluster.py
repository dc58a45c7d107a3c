"""A cluster for one test: real processes, free ports, a folder of its own, all gone at the end.

    with Cluster(nodes=3) as cluster:
        cluster.ports            client ports, node 1 first
        cluster.leader()         the leader's number, from 1
        cluster.kill(2)          SIGKILL; restart(2) starts it again with its data
        cluster.pause(2), cluster.resume(2)

The end comes with `with`, and also when the test is killed: a guardian process holds the reading end of a pipe whose
writing end dies with us. MOOT_TEST_SERVER=redis runs a plain redis-server in place of the cluster, to prove the tests
themselves.
"""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MOOT_BUILD", os.path.join(ROOT, "build"))
MOOT = os.environ.get("MOOT", os.path.join(BUILD, "moot"))
IS_MOOT = os.environ.get("MOOT_TEST_SERVER", "moot") == "moot"
PEER_ABOVE = 10000  # What `moot up` adds to a client port for its peer port.
START_SECONDS = 120  # Generous: CI machines run many things at once.


def is_sanitized():
    """Built with a sanitizer: all is slower, and has memory beside it that is not moot's."""
    with open(MOOT, "rb") as file:
        program = file.read()
    return b"__asan_init" in program or b"__tsan_init" in program


HELD = []  # Sockets that keep ports ours.


def free_ports(count):
    """Ports that stay ours until this process ends. Each is held by a socket that never listens: the kernel gives it to
    nobody who asks for any port, also while the server that uses it is down. Servers set SO_REUSEADDR, so they may bind
    it all the same; set only now, so that two tests cannot hold the same one."""
    ports = []
    for _ in range(count):
        holder = socket.socket()
        holder.bind(("127.0.0.1", 0))
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        HELD.append(holder)
        ports.append(holder.getsockname()[1])
    return ports


def free_ports_in_a_row(count, above=0):
    """The first of `count` neighbouring ports, held with those that are greater by `above`: what `moot up` uses. Below the
    kernel's own range, where no connection takes one."""
    for _ in range(1000):
        first = random.randrange(10000, 20000)
        holders = []
        try:
            for port in sorted({first + i + more for i in range(count) for more in (0, above)}):
                holders.append(socket.socket())
                holders[-1].bind(("127.0.0.1", port))
        except OSError:
            for holder in holders:
                holder.close()
            continue
        for holder in holders:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        HELD.extend(holders)
        return first
    raise RuntimeError("no free ports from 10000 to 30000")


def wait_for(condition, seconds, what):
    """Polls until condition() is true and returns its value; after `seconds` says what did not happen."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def arguments_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return [word.decode() for word in file.read().split(b"\0")[:-1]]
    except OSError:
        return []


def is_running(pid):
    """False for a zombie without threads: it serves nobody and holds no file. A killed process whose first thread has
    ended may still hold its folder's lock by the others."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z" or len(os.listdir(f"/proc/{pid}/task")) > 1
    except OSError:
        return False


def pids_below(folder):
    """Processes named in a pid file below `folder` whose arguments name the folder: only ours."""
    found = []
    for base, _, names in os.walk(folder):
        if "pid" in names:
            try:
                with open(os.path.join(base, "pid"), encoding="ascii") as file:
                    pid = int(file.read().split()[0])
            except (OSError, ValueError, IndexError):
                continue
            if any(folder in word for word in arguments_of(pid)):
                found.append(pid)
    return found


def end_all_below(folder):
    for _ in range(3):
        for pid in pids_below(folder):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    shutil.rmtree(folder, ignore_errors=True)


def start_guardian(folder):
    """Ends what is below `folder` when this process is gone, however it went. Returns the pipe's end to keep."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()  # Ctrl-C is for the test.
        os.close(writing)
        for stream in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDWR), stream)
        os.read(reading, 1)
        end_all_below(folder)
        os._exit(0)
    os.close(reading)
    return writing


class Cluster:
    def __init__(self, nodes=3, options=()):
        self.count, self.options = nodes, list(options)
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix="moot-test-"))
        self.guardian = None
        self.ports = []
        self.commands = {}  # Node -> the arguments that start it again.
        self.children = []

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        self.guardian = start_guardian(self.folder)
        try:
            (self.start if IS_MOOT else self.start_redis)()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.show_logs()
        if IS_MOOT and kind is None:
            self.stop()
        end_all_below(self.folder)
        for child in self.children:
            child.wait()
        os.close(self.guardian)

    # Starting and stopping the whole.

    def start(self):
        """`moot up`: the first time a new cluster, later the one whose data is there."""
        ports = [] if self.ports else ["--nodes", str(self.count), "--port", str(free_ports_in_a_row(self.count, PEER_ABOVE))]
        done = subprocess.run([MOOT, "up", *ports, "--dir", self.folder, "--detach", *self.options], timeout=START_SECONDS,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        text = done.stdout.decode(errors="replace")
        if done.returncode != 0 or "moot: ready" not in text.splitlines():
            raise RuntimeError("moot up failed:\n" + text)
        for node in range(1, self.count + 1):
            words = arguments_of(self.pid(node))
            self.commands[node] = restart_arguments(words)
        self.ports = [int(value_of(self.commands[node], "--port")) for node in range(1, self.count + 1)]
        return text

    def stop(self):
        """`moot down`: all nodes end by themselves."""
        done = subprocess.run([MOOT, "down", "--dir", self.folder], timeout=START_SECONDS, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            raise RuntimeError("moot down failed:\n" + done.stdout.decode(errors="replace"))

    def start_redis(self):
        self.ports = free_ports(1)
        folder = self.node_folder(1)
        os.mkdir(folder)
        self.children.append(subprocess.Popen(
            ["redis-server", "--port", str(self.ports[0]), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--pidfile",
             os.path.join(folder, "pid"), "--set-proc-title", "no"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
        with open(os.path.join(folder, "pid"), "w", encoding="ascii") as file:
            file.write(str(self.children[-1].pid))
        wait_for(lambda: self.answers(1), START_SECONDS, "redis-server answers")

    # One node.

    def node_folder(self, node):
        return os.path.join(self.folder, f"node{node}")

    def port(self, node):
        return self.ports[node - 1]

    def pid(self, node):
        with open(os.path.join(self.node_folder(node), "pid"), encoding="ascii") as file:
            return int(file.read().split()[0])

    def is_running(self, node):
        try:
            return is_running(self.pid(node))
        except FileNotFoundError:  # It has stopped by itself.
            return False

    def kill(self, node):
        pid = self.pid(node)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not is_running(pid), START_SECONDS, f"node {node} is gone")
        self.reap()

    def terminate(self, node):
        """SIGTERM: a clean stop, waited for."""
        pid = self.pid(node)
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not is_running(pid), START_SECONDS, f"node {node} stopped by itself")
        self.reap()

    def pause(self, node):
        os.kill(self.pid(node), signal.SIGSTOP)

    def resume(self, node):
        os.kill(self.pid(node), signal.SIGCONT)

    def restart(self, node):
        """Starts a node that has ended; does not wait until it serves."""
        self.spawn(node, self.commands[node])

    def spawn(self, node, arguments):
        folder = self.node_folder(node)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with open(os.path.join(folder, "log"), "ab") as log:
            child = subprocess.Popen([MOOT, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.children.append(child)

        def has_pid():
            if child.poll() is not None:
                raise RuntimeError(f"node {node} ended with status {child.returncode}")
            try:
                return self.pid(node) == child.pid
            except (OSError, ValueError, IndexError):
                return False
        wait_for(has_pid, START_SECONDS, f"node {node} has written its pid")

    def join(self, node, through, port=0):
        """Starts a further node, which gets the number `node`, that joins the cluster of node `through`."""
        free, peer = free_ports(2)
        port = port or free
        self.ports += [port] * (node - len(self.ports))
        self.ports[node - 1] = port
        folder = self.node_folder(node)
        base = ["server", "--dir", folder, "--secret-file", os.path.join(self.folder, "secret"), "--port", str(port),
                "--peer-port", str(peer)]
        self.commands[node] = base + ["--no-format"]
        self.spawn(node, base + ["--join", f"127.0.0.1:{self.port(through)}"])

    def change(self, through, *words):
        """`moot cluster ...`, waited for; its output."""
        done = subprocess.run([MOOT, "cluster", *words, "--port", str(self.port(through))], timeout=START_SECONDS,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        text = done.stdout.decode(errors="replace")
        if done.returncode != 0:
            raise RuntimeError(f"moot cluster {' '.join(words)}: {text}")
        return text

    def role(self, through, node):
        return {each["node"]: each["role"] for each in self.view(through)["nodes"]}.get(node, "unknown")

    def reap(self):
        self.children = [child for child in self.children if child.poll() is None]

    # What nodes say.

    def answers(self, node):
        try:
            with socket.create_connection(("127.0.0.1", self.port(node)), timeout=10) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def status(self, node):
        """The parsed `moot status --json` of a node, or None when it does not answer."""
        try:
            done = subprocess.run([MOOT, "status", "--port", str(self.port(node)), "--json"], timeout=20, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
            return json.loads(done.stdout) if done.returncode == 0 else None
        except (subprocess.TimeoutExpired, ValueError):
            return None

    def view(self, node):
        """The status of a node that serves: waits until it is told."""
        return wait_for(lambda: self.status(node), START_SECONDS, f"node {node} tells its status")

    def leader(self, ask=None):
        """The leader that a node of `ask` with the highest term names; waits until there is one."""
        def named():
            views = [self.status(node) for node in ask or range(1, len(self.ports) + 1)]
            views = [view for view in views if view and view.get("leader", 0) > 0]
            return max(views, key=lambda view: view["term"])["leader"] if views else 0
        return wait_for(named, START_SECONDS, "a node names a leader")

    def lead(self, node, through=None):
        """Leadership is moved to the node, and it is there. On a busy machine a transfer may be given up, or an election come
        in between: then it is asked for again."""
        def leads():
            if self.leader() != node:
                try:
                    self.change(through or node, "transfer", str(node))
                except RuntimeError:
                    pass
            return self.leader() == node
        wait_for(leads, START_SECONDS, f"node {node} leads")

    def serves(self, node, seconds=START_SECONDS):
        """Waits until a write through this node is done."""
        def writes():
            try:
                with socket.create_connection(("127.0.0.1", self.port(node)), timeout=10) as connection:
                    connection.sendall(b"DEL moot:test:ready\r\n")
                    return connection.recv(64).startswith(b":")
            except OSError:
                return False
        wait_for(writes, seconds, f"node {node} serves writes")

    def show_logs(self):
        for node in range(1, len(self.ports) + 1):
            try:
                with open(os.path.join(self.node_folder(node), "log"), encoding="utf-8", errors="replace") as file:
                    lines = file.read().splitlines()[-20:]
            except OSError:
                continue
            print(f"# the end of node {node}'s log:")
            for line in lines:
                print("#   " + line)


def value_of(arguments, name):
    return arguments[arguments.index(name) + 1]


def restart_arguments(arguments):
    """As a node was started, but for what makes a new one: a folder that is found empty now is a lost disk."""
    words, kept = iter(arguments[1:]), []
    for word in words:
        if word in ("--id", "--cluster", "--initial", "--join"):
            next(words)
        elif word != "--no-format":
            kept.append(word)
    return kept + ["--no-format"]
