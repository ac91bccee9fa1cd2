"""What the lint tests share: the files of the tree, and C with its comments and strings blanked."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def c_files(*folders):
    """Every .c, .cpp, .h and .inc file below the folders, in order."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".c", ".cpp", ".h", ".inc") and path.is_file():
                yield path


def name(path):
    return str(path.relative_to(ROOT))


def blank(text):
    """Comments and the insides of strings become spaces; lines keep their numbers."""
    def spaces(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return _TOKEN.sub(spaces, text)


def finish(what, checked, problems):
    """Prints the problems and ends the test. A check of no files is a failure too."""
    for problem in problems:
        print(problem)
    if not checked:
        problems = ["no file was checked"]
        print(problems[0])
    print(f"{what}: {checked} files, {len(problems)} problems")
    sys.exit(1 if problems else 0)
