"""lint.waits: what a test must not do with time, as far as reading can tell.

No sleep, no wait without a deadline, no clock, no loop that only looks again, no second try until
it passes. tests/harness/waiting.py has what to use instead. Programs in strings and those of
tests/clients and tests/servers are ended by who runs them, and are read for sleeps only."""

import ast
import re

import tree

# file -> [(what is found there, why that is right)]
ALLOWED = {
    "tests/harness/waiting.py": [
        ("sleeps", "the one place that looks again, with a deadline"),
        ("reads a clock", "deadlines are made here"),
    ],
    "tests/harness/terminal.py": [("reads a clock", "deadlines, while what is shown is taken")],
    "tests/harness/orphans.py": [("reads a clock", "deadlines, while the dead are reaped")],
    "tests/harness/dns.py": [("select without a timeout", "a server's thread, ended by its pipe")],
    "tests/harness/servers.py": [("select without a timeout", "as in dns.py")],
    "tests/integration/test_determinism.py": [
        ("reads a clock", "which time a program is told is what is tested; hours off, or not"),
    ],
    "tests/integration/test_status.py": [
        ("compares a measured time", "that it was measured at all"),
    ],
    "tests/security/attacks/linger.c": [
        ("sleeps", "TCP tells nobody that a full queue moves no more"),
    ],
}

CLOCKS = {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns",
          "process_time", "process_time_ns", "thread_time", "thread_time_ns", "clock_gettime"}
MEASURED = {"wall_seconds", "user_seconds", "system_seconds"}
SLEEPS = {"time.sleep", "sleep", "asyncio.sleep"}
READS = {"recv", "read", "read_line", "line", "head", "told", "_datagram", "rest"}
C_SLEEP = re.compile(r"\b(u?sleep|nanosleep)\s*\(")


def dotted(node):
    """The name of a function with its owners, as far as there are names."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    return ".".join(reversed(parts))


def names_of_calls(node):
    return {dotted(n.func).rpartition(".")[2] for n in ast.walk(node) if isinstance(n, ast.Call)}


def timed(call, place):
    """A timeout is given: by name, by place, or by somebody's **words."""
    return len(call.args) > place or any(k.arg in ("timeout", None) for k in call.keywords)


def of_call(call):
    whole = dotted(call.func)
    last = call.func.attr if isinstance(call.func, ast.Attribute) else whole
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    if whole in SLEEPS:
        return "sleeps"
    if whole.startswith(("time.", "os.times")) and last in CLOCKS | {"times"}:
        return "reads a clock"
    if last == "wait" and isinstance(owner, ast.Call) and dotted(owner.func).endswith("Event"):
        return "sleeps: nobody sets that event"
    if last in ("wait", "join") and owner is not None and whole != f"self.{last}" \
            and not call.args and not call.keywords:
        return f"{last}() without a timeout"
    if last == "communicate" and not timed(call, 1):
        return "communicate() without a timeout"
    if whole.startswith("subprocess.") and last in ("run", "call", "check_call", "check_output") \
            and not timed(call, 99):
        return f"{whole} without a timeout"
    if whole == "socket.create_connection" and not timed(call, 1):
        return "create_connection without a timeout"
    if whole == "os.wait" or whole in ("os.waitpid", "os.waitid") \
            and "WNOHANG" not in ast.unparse(call):
        return f"{whole} without WNOHANG"
    if whole == "select.select" and len(call.args) < 4:
        return "select without a timeout"
    if last == "readline" and dotted(owner).endswith(("stdout", "stderr")):
        return "readline() without a deadline: read_line"
    return None


def only_looks(loop):
    """It does nothing but ask again: no output is read, nobody is waited for."""
    if isinstance(loop.test, ast.Constant) or names_of_calls(loop) & READS:
        return False
    asked = {n.id for n in ast.walk(loop.test) if isinstance(n, ast.Name)}

    def asks(statement):
        if isinstance(statement, (ast.Pass, ast.Assert, ast.Continue)):
            return True
        return isinstance(statement, ast.Assign) and names_of_calls(statement.value) and all(
            isinstance(t, ast.Name) and t.id in asked for t in statement.targets)
    return all(asks(statement) for statement in loop.body)


def tries_again(block):
    """for ... in range(N): if it was well: return; and after it a failure."""
    for loop, after in zip(block, block[1:]):
        if isinstance(loop, ast.For) and "range" in names_of_calls(loop.iter) \
                and isinstance(after, ast.Raise) \
                and any(isinstance(n, (ast.Return, ast.Break)) for n in ast.walk(loop)):
            yield loop.lineno


def of_python(path):
    for node in ast.walk(ast.parse(path.read_text())):
        what = None
        if isinstance(node, ast.Call):
            what = of_call(node)
        elif isinstance(node, ast.Compare) and any(
                isinstance(n, ast.Constant) and n.value in MEASURED for n in ast.walk(node)):
            what = "compares a measured time"
        elif isinstance(node, ast.While) and only_looks(node):
            what = "a loop that only looks: wait_until"
        elif isinstance(node, ast.ExceptHandler) and node.type and any(
                n in ast.unparse(node.type) for n in ("AssertionError", "Failed")):
            what = "goes on after a failed assertion"
        elif isinstance(node, ast.FunctionDef):
            for line in tries_again(node.body):
                yield line, "tries again until it passes"
        if what:
            yield node.lineno, what


def of_text(path, pattern, text):
    for match in pattern.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, "sleeps"


def problems_of(path):
    allowed = [what for what, _ in ALLOWED.get(tree.name(path), ())]
    if path.suffix == ".py":
        found = of_python(path)
        if "clients" in path.parts:
            found = [(line, what) for line, what in found if what == "sleeps"]
    elif path.suffix in (".c", ".h"):
        found = of_text(path, C_SLEEP, tree.blank(path.read_text()))
    else:
        found = []
    for line, what in found:
        if what not in allowed:
            yield f"{tree.name(path)}:{line}: {what}"
        used.add((tree.name(path), what))


used = set()
tests = tree.ROOT / "tests"
files = [p for p in sorted(tests.rglob("*")) if p.suffix in (".py", ".c", ".h")
         and p.relative_to(tests).parts[0] not in ("bench", "lint", "fuzz")]
problems = [line for path in files for line in problems_of(path)]
problems += [f"{name}: '{what}' is allowed there, and is not there"
             for name, rows in ALLOWED.items() for what, _ in rows if (name, what) not in used]
tree.finish("lint.waits", len(files), problems)
