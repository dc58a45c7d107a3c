"""The commands that every client sends, and what each must answer: tests/data/clients/smoke.json.

A line is `[command, expected]`, the words of the command separated by one space; a third field `moot` means that Redis 7.0
has no such thing. `$now` is the time in milliseconds, the same in all of them. A client's test sends the commands in order on one connection and hands the replies here as JSON
values: an error as `{"error": text}`, a map either as an object or as the flat array that RESP2 makes of it. What is
expected is a JSON value, or one of

    {"error": prefix}        an error that begins so
    {"set": [...]}           an array in any order
    {"pairs": {...}}         a map, or a flat array of pairs
    {"between": [low, high]} an integer
    {"length": n}            an array of n elements
    {"has": text}            the text occurs somewhere in the reply
    {"any": true}            anything but an error
"""
import json
import os
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def load(is_moot=True):
    """[(words, expected)]; without moot's own commands when the server is a Redis."""
    with open(os.path.join(ROOT, "tests/data/clients/smoke.json"), encoding="utf-8") as file:
        now = str(int(time.time() * 1000))
        lines = [json.loads(line.replace("$now", now)) for line in file if line.strip()]
    return [(line[0].split(" "), line[1]) for line in lines if is_moot or len(line) < 3]


def pairs_of(got):
    if isinstance(got, list) and len(got) % 2 == 0:
        return {got[i]: got[i + 1] for i in range(0, len(got), 2)}
    return got if isinstance(got, dict) else None


def agrees(expected, got):
    if isinstance(expected, list):
        return isinstance(got, list) and len(got) == len(expected) and all(map(agrees, expected, got))
    if not isinstance(expected, dict):
        return type(got) is type(expected) and got == expected
    (rule, value), = expected.items()
    is_error = isinstance(got, dict) and "error" in got
    if rule == "error":
        return is_error and got["error"].startswith(value)
    if is_error:
        return False
    if rule == "set":
        return isinstance(got, list) and sorted(got) == sorted(value)
    if rule == "pairs":
        return pairs_of(got) == value
    if rule == "between":
        return isinstance(got, int) and value[0] <= got <= value[1]
    if rule == "length":
        return isinstance(got, list) and len(got) == value
    if rule == "has":
        return value in json.dumps(got)
    return rule == "any"


def report(name, commands, replies):
    """One TAP line for the whole table; a line of comment for each reply that is wrong."""
    wrong = [f"{' '.join(words)}: expected {json.dumps(expected)}, got {json.dumps(got)[:300]}"
             for (words, expected), got in zip(commands, replies) if not agrees(expected, got)]
    if len(replies) != len(commands):
        wrong.append(f"{len(commands)} commands were sent, {len(replies)} replies came")
    for line in wrong:
        print("# " + line)
    print(f"{'not ok' if wrong else 'ok'} - {name}: {len(commands)} commands", flush=True)
    return not wrong
