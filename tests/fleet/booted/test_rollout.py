import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.booted.service import run
from tests.fleet.booted.conftest import CHECKOUT, FLEET, MODELS, PIS, edit, status


@pytest.fixture(scope="module")
def office(pis, tmp_path_factory):
    """Where a fleet is looked after: the key, the inventory, the playbook."""
    folder = tmp_path_factory.mktemp("office")
    for name in ("fleet", "stranger"):
        run("minisign", "-G", "-W", "-p", str(folder / f"{name}.pub"), "-s", str(folder / f"{name}.key"))
    key = (folder / "fleet.pub").read_text().splitlines()[1]
    hosts = {name: {"audiomon_instance": name} for name in pis}
    variables = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
    inventory = {"audiomon": {"hosts": hosts, "vars": {**variables, "fleet_public_key": key, "audiomon_soak_s": 1}}}
    (folder / "inventory.json").write_text(json.dumps(inventory))
    (folder / "release").mkdir()
    shutil.copy(FLEET / "rollout.yml", folder)
    return folder


def release(office, name, change=None, key="fleet"):
    """Pack and sign a package that is `home` but for a change; what Ansible says of rolling it out."""
    package = office / name
    shutil.copytree(CHECKOUT / "models" / "home", package)
    if change:
        change(package)
    packed = office / "release" / f"{name}.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(package, name)
    run("minisign", "-S", "-s", str(office / f"{key}.key"), "-m", str(packed))
    return subprocess.run(
        ["ansible-playbook", "-i", "inventory.json", "rollout.yml", "-e", f"release={name}"],
        cwd=office, env={**os.environ, "ANSIBLE_PIPELINING": "1"}, capture_output=True, text=True,
    )  # fmt: skip


def fingerprints():
    return [json.loads(status(name))["model_sha256"] for name in PIS]


def configured():
    return [re.search("model: (.*)", Path(f"/etc/audiomon/{name}.yaml").read_text())[1] for name in PIS]


def test_a_good_model_is_taken_by_one_then_a_quarter_then_the_rest(office):
    before = fingerprints()

    def change(package):
        edit(package / "model.yaml", "description: ", "description: the second, ")

    said = release(office, "home-2", change)
    assert said.returncode == 0, said.stdout + said.stderr
    after = fingerprints()
    assert len(set(after)) == len(set(before)) == 1
    assert set(after) != set(before)
    assert configured() == ["home-2"] * len(PIS)
    # The canary, a quarter of three, and the rest.
    assert said.stdout.count("TASK [What runs now]") == 3
    assert not list(Path("/var/tmp").glob("audiomon-home-2*"))


def test_a_model_that_the_first_pi_refuses_gets_no_further_and_the_one_of_before_goes_on(office):
    before = fingerprints()

    def lie(package):
        edit(package / "model.yaml", "expected: [0.000312, 0.999665", "expected: [0.800312, 0.199665")

    said = release(office, "home-3", lie)
    assert said.returncode != 0
    assert "pi1 goes on with home-2: " in said.stdout
    assert "its self-test fails here: silence differs by 0.8" in said.stdout
    assert "[pi2]" not in said.stdout
    assert fingerprints() == before
    assert configured() == ["home-2"] * len(PIS)


def test_what_somebody_else_signed_is_not_even_unpacked(office):
    said = release(office, "home-4", key="stranger")
    assert said.returncode != 0
    assert not (MODELS / "home-4").exists()
    assert configured() == ["home-2"] * len(PIS)
