import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from audiomon.cli import cli
from tests.models.tiny import write_tiny

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


def test_the_shell_completes_commands_options_and_the_models_there_are(monkeypatch, tmp_path):
    write_tiny(tmp_path / "tiny")
    monkeypatch.setenv("AUDIOMON_MODELS", str(tmp_path))
    completing = ShellComplete(cli, {}, "audiomon", "_AUDIOMON_COMPLETE")

    def completed(*words):
        return [one.value for one in completing.get_completions(list(words[:-1]), words[-1])]

    assert completed("rel") == ["reload"]
    assert completed("run", "--pred") == ["--predictions"]
    assert completed("run", "--model", "ti") == ["tiny"]
    assert completed("run", "--model", "x") == []
