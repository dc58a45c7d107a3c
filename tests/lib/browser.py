"""Pages in Debian's Chromium, headless, driven by playwright-core of the lock file in tests/sim/page."""
import os
import subprocess

import npm
from cluster import BUILD, ROOT

SOURCE = os.path.join(ROOT, "tests/sim/page")
FOLDER = os.path.join(BUILD, "page-node")


def install():
    npm.install(SOURCE, FOLDER)


def run(script, page, folder):
    """A script of tests/sim/page, which prints TAP."""
    return npm.node(FOLDER, os.path.join(SOURCE, script), page, folder, more={"HOME": folder}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT)
