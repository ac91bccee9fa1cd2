"""What the tests of containers share: one daemon, its images, one container for each kind of place."""

import shutil
import subprocess

import pytest
from harness import containers, netns, paths
from harness.waiting import TIMEOUT, read_line

WEB = netns.PUBLIC[4]
BARE = ("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only",
        "--tmpfs", "/tmp", "--tmpfs", "/var/tmp")
# name: uid, options; what an engine's default gives, and what Kubernetes calls restricted
DOCKER = {"docker-root": (0, ()), "docker-user": (1000, ()),
          "docker-root-bare": (0, BARE), "docker-user-bare": (1000, BARE),
          "docker-ptrace": (0, ("--cap-add", "SYS_PTRACE")), "docker-today": (0, ())}
# under the profile of today: uid, capabilities, read-only
RUNC = {"runc-root": (0, containers.CAPS, False), "runc-user": (1000, containers.CAPS, False),
        "runc-root-bare": (0, [], True), "runc-user-bare": (1000, [], True)}

@pytest.fixture(scope="session")
def base(request):
    """A directory that containers can be given parts of, and the files of the image."""
    if not netns.ACTIVE:
        pytest.skip(netns.REASON)
    directory = request.config._sandlock_dir / "containers"
    directory.mkdir(mode=0o755)
    try:
        containers.files(directory)
    except containers.Unavailable as missing:
        pytest.skip(str(missing))
    yield directory
    containers.unmount_below(directory)


@pytest.fixture(scope="session")
def docker(base):
    """The daemon, with debian:12 (ours), and the images that the page makes."""
    try:
        daemon = containers.Docker(base / "docker")
    except containers.Unavailable as missing:
        pytest.skip(str(missing))
    try:
        daemon.docker("import", base / "debian.tar", "debian:12").ok()
        yield daemon
    finally:
        daemon.close()


@pytest.fixture(scope="session")
def sandlock_image(docker):
    """The packaged image, by the packaged script."""
    return docker.shell(f"{paths.ROOT}/packaging/container/build", docker.directory).ok()


@pytest.fixture(scope="session")
def agent_image(docker, sandlock_image):
    """Another image with sandlock in it, made as the page says."""
    context = docker.directory / "agent"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM debian:12\nCOPY --from=sandlock / /\n")
    return docker.docker("build", "-t", "agent", context).ok()


@pytest.fixture(scope="session")
def rootfs(base):
    containers.unpack(base / "debian.tar", base)
    return base


@pytest.fixture(scope="session")
def places(request, base):
    """Containers by name, made when first asked for, all of them ended at the end."""
    made, missing = {}, {}

    def make(name):
        work = base / f"work-{name}"
        if name in DOCKER:
            request.getfixturevalue("agent_image")
            docker = request.getfixturevalue("docker")
            uid, options = DOCKER[name]
            options = docker.today() if name == "docker-today" else options
            return containers.DockerPlace(docker, name, uid, work, options)
        return containers.RuncPlace(request.getfixturevalue("rootfs"), name, RUNC[name][0], work,
                                    *RUNC[name][1:])

    def get(name):
        if name not in made and name not in missing:
            try:
                made[name] = make(name)
            except containers.Unavailable as why:
                missing[name] = str(why)
        if name in missing:
            pytest.skip(missing[name])
        return made[name]
    yield get
    for place in made.values():
        place.close()


@pytest.fixture(params=[*DOCKER, *RUNC])
def place(request, places):
    return places(request.param)


@pytest.fixture
def web(outside):
    """api.example.com and another name, outside the container, on the addresses that they have."""
    server = outside.api("api.example.com", listen=[f"{WEB}:443", f"{WEB}:80"])
    outside.dns({"api.example.com": [WEB], "other.example.net": [WEB]})
    return server


@pytest.fixture
def redis(tmp_path, free_port):
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    server = subprocess.Popen(["redis-server", "--port", str(free_port), "--bind", "127.0.0.1",
                               "--save", "", "--dir", str(tmp_path), "--daemonize", "no"],
                              stdout=subprocess.PIPE, text=True)
    while "Ready to accept" not in (text := read_line(server.stdout, "Redis")):
        assert text, "redis-server ended"
    yield free_port
    server.terminate()
    server.communicate(timeout=TIMEOUT)
