"""The container image, built as README says on a base made here: a minimal Debian of each release, without sound."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
PROGRAMS = ("buildah", "mmdebstrap")

pytestmark = [pytest.mark.root, pytest.mark.long, pytest.mark.timeout(1500)]

Buildah = Callable[..., str]


@pytest.fixture(scope="module")
def buildah(tmp_path_factory) -> Buildah:
    """Buildah with a store of its own, for machines in which no container can be started as usual: this may be one."""
    if absent := [name for name in PROGRAMS if not shutil.which(name)]:
        pytest.skip(f"no {' and no '.join(absent)}")
    store = tmp_path_factory.mktemp("store")
    options = ["--root", store / "root", "--runroot", store / "run", "--storage-driver", "vfs"]

    def run(*arguments: object) -> str:
        done = subprocess.run(
            ["buildah", *map(str, [*options, *arguments])], capture_output=True, text=True, check=False, cwd=CHECKOUT
        )
        assert done.returncode == 0, (arguments, done.stdout[-3000:], done.stderr[-3000:])
        return done.stdout.strip()

    return run


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def container(request, buildah, tmp_path_factory) -> Iterator[str]:
    """A container of the image on that release, in which nothing has been started."""
    folder = tmp_path_factory.mktemp(request.param)
    sources = folder / "debian.sources"
    sources.write_text(SOURCES.read_text(encoding="utf-8").replace("bookworm", request.param), encoding="utf-8")
    # Packages come from where this machine has them from, and so does trust in them.
    base = [
        *("mmdebstrap", "--variant=minbase", "--aptopt=Acquire::Check-Valid-Until false"),
        f"--customize-hook=upload {AUTHORITIES} /root/authorities.crt",
        *(request.param, folder / "base.tar", sources),
    ]
    made = subprocess.run(base, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"no base can be made here: {made.stderr[-500:]}")
    scratch = buildah("from", "scratch")
    buildah("add", scratch, folder / "base.tar", "/")
    buildah("config", "--env", "PIP_CERT=/root/authorities.crt", scratch)
    buildah("commit", "--rm", scratch, "base")
    (folder / "base.tar").unlink()
    build = ("--isolation", "chroot", "--pull-never", "--build-arg", "BASE=localhost/base", "-f", "deploy/Dockerfile")
    # Docker takes this file by its name; this version of Buildah may not.
    build += ("--ignorefile", "deploy/Dockerfile.dockerignore")
    buildah("build", *build, "-t", f"audiomon-{request.param}", ".")
    yield buildah("from", "--pull-never", f"localhost/audiomon-{request.param}")
    buildah("rm", "--all")
    buildah("rmi", "--all", "--force")


def test_it_hears_with_the_model_that_it_brings_and_says_that_it_has_no_microphone(container, buildah):
    config = json.loads(buildah("inspect", container))["OCIv1"]["config"]
    assert config["User"] == "audiomon"
    command = [*config["Entrypoint"], *config["Cmd"]]

    def inside(*words: str) -> subprocess.CompletedProcess[str]:
        # The status is what is looked at: buildah's own is that of the command.
        script = '"$@" 2>&1; echo "status $?"'
        said = buildah("run", "--isolation", "chroot", container, "--", "sh", "-c", script, "sh", *words)
        text, _, status = said.rpartition("status ")
        return subprocess.CompletedProcess(words, int(status), text)

    assert inside("id", "-nG").stdout.split() == ["audiomon", "audio"]
    checked = inside("audiomon", "check", "--no-device", "--config", "/etc/audiomon/audiomon.yaml")
    assert checked.returncode == 0, checked.stdout
    [sample] = inside("find", "/usr/lib/audiomon", "-name", "sample.flac").stdout.split()
    heard = inside("audiomon", "classify", sample)
    assert heard.returncode == 0, heard.stdout
    assert "baby_cry" in heard.stdout
    listening = inside("timeout", "60", *command)
    assert listening.returncode == 2
    assert "there is no microphone" in listening.stdout
    assert "Traceback" not in listening.stdout
    # What the image's health check runs, while nothing listens.
    assert inside("audiomon", "status").returncode == 2
    kept = inside("find", "/package", "/audiomon", "/var/lib/apt/lists", "-type", "f")
    assert [line for line in kept.stdout.splitlines() if not line.endswith("No such file or directory")] == []
