"""docs/containers.md: every command line in it is run as it stands, by the client of a daemon of ours.

The daemon has no bridge, so that each `run` gets `--network host`, which is the tests' own network. What
other engines read is compared with the call of Docker that the page gives for it, key by key: a key
that is not understood here fails. A line may end in "# exit N: TEXT" or "# prints TEXT", as in README.md."""

import json
import re
import shlex

import pytest
import yaml
from harness import paths
from harness.terminal import Terminal

pytestmark = pytest.mark.netns
PAGE = (paths.ROOT / "docs" / "containers.md").read_text()
BLOCKS = re.findall(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", PAGE, re.M | re.S)


def blocks(language, name=None):
    return [text for lang, label, text in BLOCKS if lang == language and (label or None) == name]


def commands(text):
    """Each command of a block, which may be of several lines where a quote is open."""
    found, open_ = [], ""
    for line in text.splitlines():
        open_ += line
        try:
            shlex.split(split(open_)[0])
        except ValueError:
            open_ += "\n"
            continue
        found.append(open_)
        open_ = ""
    assert not open_, open_
    return found


def split(line):
    """The command, the exit code, the text to look for."""
    command, _, note = line.partition("      # ")
    code = re.match(r"exit (\d+): (.*)$", note)
    if code:
        return command, int(code[1]), code[2]
    prints = re.match(r"prints (.*)$", note)
    return command, 0, prints and prints[1]


def on_our_network(command):
    return re.sub(r"\b(docker run)\b", r"\1 --network host", command)


@pytest.fixture
def world(docker, agent_image, web, tmp_path):
    (tmp_path / "Dockerfile").write_text(blocks("dockerfile")[0])
    return docker, tmp_path


def follow(line, world):
    docker, directory = world
    command, code, text = split(line)
    if text is None and line.endswith("# a terminal"):
        return in_a_terminal(command, world)
    where = paths.ROOT if command.startswith("packaging/") else directory
    done = docker.shell(on_our_network(command), where)
    assert done.rc == code and (not text or text in done.out + done.err), str(done)
    return done


def in_a_terminal(command, world):
    docker, directory = world
    words = ["/usr/bin/env", *shlex.split(on_our_network(command))]
    with Terminal(words, directory, docker.env) as t:
        t.type(b"PS1=; echo $((6 * 7))\n")
        t.until(rb"[\r\n]42\r\n")
        t.type(b"exit 5\n")
        assert t.finish() == 5, t.story("exit")


LINES = [line for text in blocks("sh", "lines") for line in commands(text)]


def test_the_page_is_read_whole():
    """A block of commands that no test knows would be one that nobody runs."""
    known = {"lines", "podman", "compose", "gitlab", "github", "kubernetes", "devcontainer"}
    assert {label for lang, label, _ in BLOCKS if lang == "sh"} == known
    assert len(LINES) >= 12
    assert not re.search(r"^    (docker|podman|sandlock)", PAGE, re.M)


@pytest.mark.parametrize("line", LINES)
def test_line(line, world):
    follow(line, world)


def test_what_is_denied_works_without_sandlock(world, web):
    """The refusals of the page are refusals of sandlock: without it, the containers get further."""
    docker, directory = world
    refused = [line for line in LINES if "denied_by" in line or "exit 6" in line]
    assert len(refused) == 2
    for line in refused:
        command, code, text = split(line)
        bare = re.sub(r"sandlock run .* -- ", "", command)
        done = docker.shell(on_our_network(bare), directory)
        assert done.rc != code or text not in done.out + done.err, str(done)
    assert web.seen() == ["DELETE /v1/models"]


def test_podman(world):
    line, = commands(blocks("sh", "podman")[0])
    as_docker = line.replace("podman", "docker", 1)
    assert as_docker in LINES
    follow(as_docker, world)


def options(command):
    """Words of `docker run` as pairs of option and value, the image, the rest."""
    words = shlex.split(command)
    assert words[:2] == ["docker", "run"], command
    single = {"--rm", "--read-only", "-d", "-it"}
    found, i = [], 2
    while words[i].startswith("-"):
        pair = (words[i],) if words[i] in single else (words[i], words[i + 1])
        found.append(pair)
        i += len(pair)
    return sorted(found), words[i], words[i + 1:]


def take(mapping, **wanted):
    """These keys and no others; the values of those that say something, the others as expected."""
    assert set(mapping) == set(wanted), mapping
    for key, value in wanted.items():
        assert value is ANY or mapping[key] == value, (key, mapping[key])
    return mapping


ANY = object()
TIGHT = [("--cap-drop", "ALL"), ("--security-opt", "no-new-privileges")]


def test_compose(world):
    page, = blocks("yaml", "compose")
    line, = commands(blocks("sh", "compose")[0])
    service = take(take(yaml.safe_load(page), services=ANY)["services"], agent=ANY)["agent"]
    take(service, image=ANY, user=ANY, cap_drop=ANY, security_opt=ANY, read_only=True, tmpfs=ANY,
         command=ANY)
    given = [("--rm",), ("--read-only",), ("--user", service["user"])]
    given += [("--cap-drop", c) for c in service["cap_drop"]]
    given += [("--security-opt", o) for o in service["security_opt"]]
    given += [("--tmpfs", t) for t in service["tmpfs"]]
    assert options(split(line)[0]) == (sorted(given), service["image"], service["command"])
    follow(line, world)


def test_gitlab(world):
    page, = blocks("yaml", "gitlab")
    line, = commands(blocks("sh", "gitlab")[0])
    job = take(take(yaml.safe_load(page), agent=ANY)["agent"], image=ANY, script=ANY)
    given = [("--rm",), ("-v", "$PWD:/builds"), ("-w", "/builds")]
    assert options(split(line)[0]) == (given, job["image"], ["sh", "-ec", "\n".join(job["script"])])
    follow(line, world)
    assert (world[1] / "result").read_text() == "built\n"


def kept_alive(start, name, image, given):
    assert options(start) == (sorted([("-d",), ("--entrypoint", "tail"), ("--name", name), *given]),
                              image, ["-f", "/dev/null"])


def pairs(words):
    return list(zip(words[::2], words[1::2], strict=True))


def test_github(world):
    page, = blocks("yaml", "github")
    start, step, end = commands(blocks("sh", "github")[0])
    job = take(take(yaml.safe_load(page), jobs=ANY)["jobs"], agent=ANY)["agent"]
    take(job, **{"runs-on": "ubuntu-latest", "container": ANY, "steps": ANY})
    container = take(job["container"], image=ANY, options=ANY)
    kept_alive(start, "job", container["image"], pairs(shlex.split(container["options"])))
    script = take(job["steps"][0], run=ANY)["run"]
    assert len(job["steps"]) == 1
    assert shlex.split(split(step)[0]) == ["docker", "exec", "job", "sh", "-ec", script]
    for line in (start, step, end):
        follow(line, world)


def test_kubernetes(world):
    page, = blocks("yaml", "kubernetes")
    line, = commands(blocks("sh", "kubernetes")[0])
    pod = take(yaml.safe_load(page), apiVersion="v1", kind="Pod", metadata={"name": "agent"}, spec=ANY)
    spec = take(pod["spec"], restartPolicy="Never", securityContext=ANY, containers=ANY, volumes=ANY)
    context = take(spec["securityContext"], runAsNonRoot=True, runAsUser=ANY,
                   seccompProfile={"type": "RuntimeDefault"})
    container, = spec["containers"]
    take(container, name="agent", image=ANY, command=ANY, securityContext=ANY, volumeMounts=ANY)
    inner = take(container["securityContext"], allowPrivilegeEscalation=False,
                 readOnlyRootFilesystem=True, capabilities=ANY)
    given = [("--rm",), ("--read-only",), ("--user", str(context["runAsUser"])),
             ("--security-opt", "no-new-privileges")]  # allowPrivilegeEscalation: false
    given += [("--cap-drop", c) for c in take(inner["capabilities"], drop=ANY)["drop"]]
    memory = {v["name"]: take(v, name=ANY, emptyDir={"medium": "Memory"}) for v in spec["volumes"]}
    given += [("--tmpfs", m["mountPath"]) for m in container["volumeMounts"] if memory[m["name"]]]
    assert options(split(line)[0]) == (sorted(given), container["image"], container["command"])
    follow(line, world)


def test_devcontainer(world):
    page, = blocks("json", "devcontainer")
    start, hook, one, end = commands(blocks("sh", "devcontainer")[0])
    given = take(json.loads(page), image=ANY, runArgs=ANY, postStartCommand=ANY)
    kept_alive(start, "dev", given["image"], pairs(given["runArgs"]))
    assert shlex.split(split(hook)[0]) == ["docker", "exec", "dev", "sh", "-c",
                                           given["postStartCommand"]]
    for line in (start, hook, one, end):
        follow(line, world)
