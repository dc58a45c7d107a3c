"""Pages in Debian's Chromium, headless, driven by playwright-core of the lock file in tests/sim/page."""
import os
import shutil
import subprocess
import time

from cluster import BUILD, ROOT

SOURCE = os.path.join(ROOT, "tests/sim/page")
FOLDER = os.path.join(BUILD, "page-node")


def install():
    """Once for each lock file."""
    with open(os.path.join(SOURCE, "package-lock.json"), encoding="utf-8") as file:
        lock = file.read()
    stamp = os.path.join(FOLDER, "installed")
    if os.path.exists(stamp) and open(stamp, encoding="utf-8").read() == lock:
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(FOLDER)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(os.path.join(SOURCE, name), FOLDER)
    for pause in (2, 10, 0):  # A registry may be out of reach for a moment.
        done = subprocess.run(["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=FOLDER, timeout=300,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode == 0:
            break
        time.sleep(pause)
    if done.returncode != 0:
        raise RuntimeError("npm ci failed:\n" + done.stdout.decode(errors="replace"))
    with open(stamp, "w", encoding="utf-8") as file:
        file.write(lock)


def run(script, page, folder):
    """A script of tests/sim/page, which prints TAP."""
    environment = dict(os.environ, NODE_PATH=os.path.abspath(os.path.join(FOLDER, "node_modules")), HOME=folder)
    return subprocess.run(["node", os.path.join(SOURCE, script), page, folder], env=environment, timeout=400, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
