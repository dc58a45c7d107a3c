"""TAP lines for tests in Python: each check is a function, its docstring's first line its name."""
import sys
import traceback

failures = 0


def ok(condition, name, why=""):
    global failures
    if not condition:
        failures += 1
        for line in str(why).splitlines():
            print("# " + line)
    print(f"{'ok' if condition else 'not ok'} - {name}", flush=True)
    return bool(condition)


def run(name, function, *arguments):
    """The check passes unless it raises."""
    try:
        function(*arguments)
    except Exception:  # A check that fails must not hide the others.
        return ok(False, name, traceback.format_exc())
    return ok(True, name)


def finish():
    sys.exit(1 if failures else 0)
