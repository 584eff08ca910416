import os

from tests.deploy.checkout import Checkout

MAKE = 'make_environment "$PWD/.venv" "$system_python" ""'


def test_a_first_set_up_makes_the_environment_and_installs_the_checkout_as_it_stands(checkout: Checkout) -> None:
    status, said = checkout.run_function(MAKE)
    assert status == 0, said
    assert len(checkout.calls("-m venv")) == 1
    (pip,) = checkout.calls("-m pip")
    assert pip.endswith(f"-e {checkout.folder}")


def test_a_second_start_asks_nothing_of_python_and_says_nothing(checkout: Checkout) -> None:
    checkout.run_function(MAKE)
    calls = checkout.calls("")
    assert checkout.run_function(MAKE) == (0, "")
    assert checkout.calls("") == calls


def test_changed_dependencies_are_installed_into_the_same_environment(checkout: Checkout) -> None:
    checkout.run_function(MAKE)
    with (checkout.folder / "pyproject.toml").open("a") as file:
        file.write("# one more\n")
    checkout.run_function(MAKE)
    assert len(checkout.calls("-m venv")) == 1
    assert len(checkout.calls("-m pip")) == 2


def test_a_set_up_that_failed_says_why_and_is_made_again_from_the_start(checkout: Checkout) -> None:
    status, said = checkout.run_function(MAKE, FAILING="-m pip")
    assert status == 1
    assert "no route to" in said
    assert "pip could not" in said
    assert checkout.run_function(MAKE)[0] == 0
    assert len(checkout.calls("-m venv")) == 2
    assert checkout.run_function(MAKE) == (0, "")


def test_an_environment_whose_python_was_replaced_is_made_again(checkout: Checkout) -> None:
    checkout.run_function(MAKE)
    checkout.add_python("3.13", "python3.13")
    (checkout.programs / "python").unlink()
    (checkout.programs / "python").symlink_to("python3.13")
    checkout.run_function(MAKE)
    assert len(checkout.calls("-m venv")) == 2


def test_a_checkout_that_was_moved_is_set_up_again(checkout: Checkout) -> None:
    checkout.run_function(MAKE)
    checkout.folder = checkout.folder.rename(checkout.folder.with_name("moved"))
    checkout.run_function(MAKE)
    assert len(checkout.calls("-m venv")) == 2


def test_an_environment_of_somebody_else_is_not_touched(checkout: Checkout) -> None:
    theirs = checkout.folder / ".venv" / "theirs"
    theirs.mkdir(parents=True)
    status, said = checkout.run_function(MAKE)
    assert status == 1
    assert "not made by audiomon" in said
    assert theirs.exists()


def test_two_starts_at_once_set_up_once(checkout: Checkout) -> None:
    command = ["bash", "-c", f"set -euo pipefail; . deploy/environment.sh; {MAKE}"]
    starts = [checkout.start(*command, PIP_TAKES_S="0.5") for _ in range(2)]
    for start in starts:
        said, _ = start.communicate(timeout=60)
        assert start.returncode == 0, said
    assert len(checkout.calls("-m pip")) == 1


def test_a_python_that_is_too_old_is_named_with_what_is_needed(checkout: Checkout) -> None:
    python = checkout.add_python("3.10")
    status, said = checkout.run_function(f"require_python {python}")
    assert status == 1
    assert f"{python} is Python 3.10" in said
    assert "needs 3.11" in said


def test_32_bit_arm_stops_where_no_interpreter_exists_for_its_python(checkout: Checkout) -> None:
    checkout.add_program("dpkg", "#!/bin/bash\necho armhf\n")
    assert checkout.run_function(f"require_python {checkout.add_python('3.11')}") == (0, "")
    status, said = checkout.run_function(f"require_python {checkout.add_python('3.13')}")
    assert status == 1
    assert "64-bit" in said


def test_32_bit_arm_takes_numpy_from_debian(checkout: Checkout) -> None:
    checkout.add_program("dpkg", "#!/bin/bash\necho armhf\n")
    _, packages = checkout.run_function("runtime_packages python")
    assert "python3-numpy" in packages.split()
    checkout.run_function(MAKE)
    assert "--system-site-packages" in checkout.calls("-m venv")[0]


def test_a_32_bit_userland_on_a_64_bit_kernel_asks_pip_for_32_bit_wheels(checkout: Checkout) -> None:
    checkout.add_program("dpkg", "#!/bin/bash\necho armhf\n")
    checkout.add_program("uname", "#!/bin/bash\necho aarch64\n")
    checkout.add_program("setarch", '#!/bin/bash\necho "setarch $*" >>"$CALLS"\nshift\nexec "$@"\n')
    status, said = checkout.run_function(MAKE)
    assert status == 0, said
    (call,) = checkout.calls("setarch")
    assert call.startswith("setarch linux32 env _PYTHON_HOST_PLATFORM=linux-armv7l ")
    assert " -m pip install " in call


def test_a_shim_that_cannot_run_is_passed_over_for_a_python_that_can(checkout: Checkout) -> None:
    checkout.add_program("python3.99", "#!/bin/bash\necho 'pyenv: python3.99: command not found' >&2\nexit 127\n")
    assert checkout.run_function("find_python 3.99")[0] == 1
    real = checkout.folder / ".pyenv" / "versions" / "3.99.1" / "bin" / "python3.99"
    real.parent.mkdir(parents=True)
    checkout.add_python("3.99", "real").rename(real)
    assert checkout.run_function("find_python 3.99") == (0, f"{real}\n")


def test_nothing_is_asked_of_apt_where_nothing_is_missing(checkout: Checkout) -> None:
    assert checkout.run_function("install_packages sox python3", INSTALLED="python3 sox") == (0, "")
    assert checkout.calls("apt-get") == []


def test_only_what_is_missing_is_installed_and_nothing_is_removed(checkout: Checkout) -> None:
    checkout.add_program("id", "#!/bin/bash\necho 0\n")
    status, said = checkout.run_function("install_packages sox python3", INSTALLED="python3")
    assert status == 0
    assert "installing Debian packages: sox" in said
    update, install = checkout.calls("apt-get")
    assert update.endswith(" update")
    assert install.endswith(" sox")
    assert "--no-remove" in install


def test_without_root_or_sudo_it_says_what_to_install_by_hand(checkout: Checkout) -> None:
    checkout.add_program("id", "#!/bin/bash\necho 1000\n")
    checkout.add_program("sudo", "#!/bin/bash\nexit 1\n")
    status, said = checkout.run_function("install_packages sox python3", INSTALLED="python3")
    assert status == 1
    assert "apt-get install sox" in said
    assert checkout.calls("apt-get") == []


def test_apt_goes_through_sudo_for_an_ordinary_user(checkout: Checkout) -> None:
    checkout.add_program("id", "#!/bin/bash\necho 1000\n")
    checkout.add_program("sudo", '#!/bin/bash\n[ "$1" != -n ] || exit 0\necho "sudo $*" >>"$CALLS"\nexec "$@"\n')
    assert checkout.run_function("install_packages sox", INSTALLED="")[0] == 0
    assert len(checkout.calls("sudo env DEBIAN_FRONTEND=noninteractive apt-get")) == 2


def test_a_folder_that_cannot_be_written_is_one_line(checkout: Checkout) -> None:
    checkout.add_program("mkdir", "#!/bin/bash\necho 'mkdir: Read-only file system' >&2\nexit 1\n")
    status, said = checkout.run_function(MAKE)
    assert status == 1
    assert said.endswith(f"cannot write to {os.path.realpath(checkout.folder)}\n")
