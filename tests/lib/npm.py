"""Packages for tests in JavaScript: what a lock file names, in the build folder."""
import os
import shutil
import subprocess
import time


def install(source, folder):
    """Once for each lock file; npm's cache makes the second build folder quick."""
    with open(os.path.join(source, "package-lock.json"), encoding="utf-8") as file:
        lock = file.read()
    stamp = os.path.join(folder, "installed")
    if os.path.exists(stamp) and open(stamp, encoding="utf-8").read() == lock:
        return
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(os.path.join(source, name), folder)
    for pause in (2, 10, 0):  # A registry may be out of reach for a moment.
        done = subprocess.run(["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, timeout=300,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode == 0:
            break
        time.sleep(pause)
    if done.returncode != 0:
        raise RuntimeError("npm ci failed:\n" + done.stdout.decode(errors="replace"))
    with open(stamp, "w", encoding="utf-8") as file:
        file.write(lock)


def node(folder, *arguments, **options):
    """A program of node's, with the packages in `folder`."""
    environment = dict(os.environ, NODE_PATH=os.path.abspath(os.path.join(folder, "node_modules")), **options.pop("more", {}))
    return subprocess.run(["node", *arguments], env=environment, timeout=400, check=False, **options)
