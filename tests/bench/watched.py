"""Runs a Python command as a child, and prints what it printed, how long it took, and the most memory it held: the
peak of a process among many can only be asked for by a parent that has no other child. A command that does not end in
time is stopped, and has printed nothing."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

if __name__ == "__main__":
    within_seconds, arguments = float(sys.argv[1]), sys.argv[2:]
    begun = time.perf_counter()
    stdout: str | None = None
    try:
        child = subprocess.run(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            timeout=within_seconds,
        )
    except subprocess.TimeoutExpired:
        pass
    else:
        stdout = child.stdout
        if child.returncode != 0:
            sys.stderr.write(stdout)
            sys.exit(child.returncode)
    seconds = time.perf_counter() - begun
    kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(
        json.dumps({"stdout": stdout, "seconds": round(seconds, 2), "memory_mb": round(kilobytes / 1024, 1)})
    )
