"""lint.format: every C file is what clang-format 14 makes of it. Other versions differ: skipped."""

import shutil
import subprocess
import sys

import tree

PINNED = "14."


def clang_format():
    for name in ("clang-format-14", "clang-format"):
        path = shutil.which(name)
        if path:
            version = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
            if f"version {PINNED}" in version:
                return path
    print("SKIP: clang-format 14 is not installed (./dev setup installs it)")
    sys.exit(77)


program = clang_format()
files = [str(path) for path in tree.c_files("src", "include", "tests", "demo")
         if path.suffix != ".inc"]
done = subprocess.run([program, "--dry-run", "--Werror", *files], capture_output=True, text=True,
                      cwd=tree.ROOT)
wrong = sorted({line.split(":")[0] for line in done.stderr.splitlines() if "error:" in line})
problems = [f"{name}: not formatted (./dev lint --fix)" for name in wrong]
if done.returncode != 0 and not problems:
    problems = [done.stderr]
tree.finish("lint.format", len(files), problems)
