"""The servers that are compared, each started for its part of the run and ended after it."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/lib"))
import cluster as live
from cluster import START_SECONDS, free_ports, is_running, wait_for


class Server:
    """A server in a folder of its own. `pids` names its processes, the one that is written to first."""
    protocol, wait, follower = "resp", 0, None

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="moot-bench-")
        self.children, self.ports = [], []
        self.guardian = None

    def __enter__(self):
        self.guardian = guard(self.children_pids_file())
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for child in self.children:
            child.kill()
        for child in self.children:
            child.wait()
        os.close(self.guardian)
        shutil.rmtree(self.folder, ignore_errors=True)

    def children_pids_file(self):
        return os.path.join(self.folder, "pids")

    def spawn(self, *words):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        self.children.append(child)
        with open(self.children_pids_file(), "a", encoding="ascii") as file:
            file.write(f"{child.pid}\n")
        return child

    def pids(self):
        return {f"process {i + 1}" if i else "server": child.pid for i, child in enumerate(self.children) if child.poll() is None}

    def target(self):
        return self.ports[0]


def guard(path):
    """Ends the processes of the file when this one is gone, however it went."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.close(writing)
        os.read(reading, 1)
        if os.path.exists(path):  # Else all was ended in good order.
            with open(path, encoding="ascii") as file:
                for line in file:
                    if any(os.path.dirname(path) in word for word in live.arguments_of(int(line))):
                        os.kill(int(line), signal.SIGKILL)
        os._exit(0)
    os.close(reading)
    return writing


class Redis(Server):
    def __init__(self, log, replicas=0):
        super().__init__()
        self.log, self.wait = log, replicas
        self.name = "Redis, appendfsync always" if log else "Redis without log"
        if replicas:
            self.name = f"Redis, {replicas} replicas, appendfsync always, WAIT {replicas}"

    def start(self):
        self.ports = free_ports(1 + self.wait)
        for i, port in enumerate(self.ports):
            folder = os.path.join(self.folder, str(i))
            os.mkdir(folder)
            words = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--daemonize", "no",
                     "--set-proc-title", "no", "--appendonly", "yes" if self.log else "no", "--appendfsync", "always",
                     "--client-output-buffer-limit", "replica 0 0 0"]  # Else a slow replica is dropped and copied anew.
            self.spawn(*words, *(["--replicaof", "127.0.0.1", str(self.ports[0])] if i else []))
        wait_for(lambda: f"connected_slaves:{self.wait}" in self.cli("INFO", "replication"), START_SECONDS, "Redis is up")
        if self.wait:
            self.cli("SET", "key", "value")
            wait_for(lambda: self.cli("WAIT", str(self.wait), "1000").strip() == str(self.wait), START_SECONDS, "replicas are there")

    def cli(self, *words):
        done = subprocess.run(["redis-cli", "-p", str(self.ports[0]), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=10, check=False)
        return done.stdout.decode(errors="replace")


class Etcd(Server):
    """Asked by its own Go client (bench/etcd_load.go) where Debian's golang-go and golang-etcd-server-dev are installed, else through its
    JSON gateway by bench/load.c; fail-overs always through the gateway."""
    protocol = "etcd"
    gateway = "etcd, three nodes, JSON gateway over HTTP/1.1"

    def __init__(self):
        super().__init__()
        self.load = go_client()
        self.name = "etcd, three nodes, its Go client (gRPC)" if self.load else self.gateway

    @staticmethod
    def is_installed():
        return shutil.which("etcd") is not None and shutil.which("etcdctl") is not None

    def start(self):
        ports = free_ports(6)
        self.ports, self.peers = ports[:3], ports[3:]
        self.commands = []
        everyone = ",".join(f"n{i}=http://127.0.0.1:{port}" for i, port in enumerate(self.peers))
        for i in range(3):
            client, peer = f"http://127.0.0.1:{self.ports[i]}", f"http://127.0.0.1:{self.peers[i]}"
            self.commands.append(["etcd", "--name", f"n{i}", "--data-dir", os.path.join(self.folder, f"n{i}"), "--listen-client-urls",
                                  client, "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls",
                                  peer, "--initial-cluster", everyone, "--initial-cluster-state", "new", "--log-level", "error",
                                  "--quota-backend-bytes", str(8 << 30)])
            self.spawn(*self.commands[i])
        wait_for(self.leader, START_SECONDS, "etcd has a leader")

    def leader(self):
        """1 to 3, or 0."""
        for port in self.ports:
            done = subprocess.run(["etcdctl", "--endpoints", f"127.0.0.1:{port}", "endpoint", "status", "-w", "json"], timeout=20,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
                                  env=dict(os.environ, ETCDCTL_API="3"))
            try:
                status = json.loads(done.stdout)[0]["Status"]
            except (ValueError, IndexError, KeyError):
                continue
            if status.get("leader") == status["header"]["member_id"]:
                return self.ports.index(port) + 1
        return 0

    def target(self):
        return self.ports[wait_for(self.leader, START_SECONDS, "etcd has a leader") - 1]

    def pids(self):
        leader = self.leader()
        order = sorted(range(1, 4), key=lambda node: node != leader)
        return {f"process {node}": self.children[node - 1].pid for node in order}

    def kill(self, node):
        self.children[node - 1].kill()
        self.children[node - 1].wait()

    def restart(self, node):
        child = self.spawn(*self.commands[node - 1])
        self.children.remove(child)
        self.children[node - 1] = child

    def serves(self, node):
        def healthy():
            done = subprocess.run(["etcdctl", "--endpoints", f"127.0.0.1:{self.ports[node - 1]}", "endpoint", "health"], timeout=20,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
                                  env=dict(os.environ, ETCDCTL_API="3"))
            return done.returncode == 0
        wait_for(healthy, START_SECONDS, f"etcd node {node} is healthy")


def go_client():
    """The program, built when it can be; None: it cannot."""
    program = os.path.join(live.BUILD, "etcd_load")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "etcd_load.go")
    if os.path.exists(program) and os.path.getmtime(program) >= os.path.getmtime(source):
        return program
    if not shutil.which("go") or not os.path.isdir("/usr/share/gocode/src/go.etcd.io/etcd/clientv3"):
        return None
    print("  etcd's Go client is built (a minute)", file=sys.stderr, flush=True)
    built = subprocess.run(["go", "build", "-o", program, source], stdin=subprocess.DEVNULL, check=False,
                           env=dict(os.environ, GO111MODULE="off", GOPATH="/usr/share/gocode", GOFLAGS=""))
    return program if built.returncode == 0 else None


class Moot(live.Cluster):
    """tests/lib's cluster, with what a comparison asks of a server."""
    name, protocol, wait = "moot, three nodes", "resp", 0

    def pids(self):
        leader = self.leader()
        names = {}
        for node in sorted(range(1, self.count + 1), key=lambda node: node != leader):
            if self.is_running(node):
                names["leader" if node == leader else f"follower {node}"] = self.pid(node)
        return names

    def target(self):
        return self.port(self.leader())

    def follower(self):
        return self.port(1 + self.leader() % self.count)


def folder_size(folder):
    """Bytes of blocks on disk."""
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(base, name)).st_blocks * 512
            except OSError:  # Deleted meanwhile.
                pass
    return total


__all__ = ["Etcd", "Moot", "Redis", "folder_size", "is_running"]
