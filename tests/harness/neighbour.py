"""How much of a processor a run leaves to others, told without a clock.

A program that does nothing but count has one core; a run is put on the same core, and once it is
through with a fixed amount of work, the count tells how often the neighbour got the processor
meanwhile. Whatever else keeps the machine busy takes from both; a limit must be below the run's part
of a busy machine to show, so ask for few percent."""

import mmap
import os
import subprocess
import sys

from .waiting import end, read_line

COUNT = """
import mmap, os, sys
os.sched_setaffinity(0, {int(sys.argv[2])})
with open(sys.argv[1], "r+b") as f: told = memoryview(mmap.mmap(f.fileno(), 8)).cast("Q")
print("up", flush=True)
count = 0
while True:
    count += 1
    told[0] = count
"""


def beside(box, *options, cmd, **kw):
    """The run, and what its neighbour counted to until its end."""
    core = max(os.sched_getaffinity(0))
    path = box.tmp / "count"
    path.write_bytes(bytes(8))
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 8) as told:
        neighbour = subprocess.Popen([sys.executable, "-c", COUNT, str(path), str(core)],
                                     stdout=subprocess.PIPE)
        try:
            assert read_line(neighbour.stdout, "the neighbour") == b"up\n"
            before = int.from_bytes(told[:8], sys.byteorder)
            run = box(*options, cmd=["taskset", "-c", str(core), *cmd], **kw)
            return run, int.from_bytes(told[:8], sys.byteorder) - before
        finally:
            end(neighbour)
