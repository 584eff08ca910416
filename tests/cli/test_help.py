import pytest
from click.testing import CliRunner

from audiomon.cli import cli

COMMANDS = cli.list_commands(None)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_shows_an_example(command):
    result = CliRunner().invoke(cli, [command, "--help"])
    assert result.exit_code == 0, result
    assert f"audiomon {command}" in result.output.split("Example")[1]


def test_the_overall_help_names_every_command_and_imports_none_of_them():
    result = CliRunner().invoke(cli, ["--help"])
    assert all(f"\n  {command} " in result.output for command in COMMANDS)


def test_the_version_is_the_package_s():
    from audiomon import __version__

    assert __version__ in CliRunner().invoke(cli, ["--version"]).output


def test_an_unknown_command_is_a_usage_error():
    assert CliRunner().invoke(cli, ["listen"]).exit_code == 2
