"""Runs a Python command as a child, and prints what it printed, how long it took, and the most memory it held: the
peak of a process among many can only be asked for by a parent that has no other child."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

if __name__ == "__main__":
    begun = time.perf_counter()
    child = subprocess.run([sys.executable, *sys.argv[1:]], stdout=subprocess.PIPE, text=True, check=False)
    seconds = time.perf_counter() - begun
    kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if child.returncode != 0:
        sys.stderr.write(child.stdout)
        sys.exit(child.returncode)
    print(
        json.dumps(
            {"stdout": child.stdout, "seconds": round(seconds, 2), "memory_mb": round(kilobytes / 1024, 1)}
        )
    )
