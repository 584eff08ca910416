import os

import msgspec
import pytest

from audiomon.cli.clips_outlook import look_at_clips
from audiomon.config.settings import load_settings
from audiomon.keeper.status import FILE, KeeperStatus
from audiomon.pipeline.loading import LoadingModel
from audiomon.runtime_files import RuntimeFiles
from tests.cli.command import Audiomon
from tests.models.tiny import write_tiny

KEEPER = KeeperStatus(
    pid=os.getpid(),
    version="1",
    listeners=("kitchen",),
    clips=2,
    mb=1.5,
    counts={"kept": 2},
    clock_is_set=True,
    problem="",
)
WANTED = "clips: {labels: ['*_*'], never: [speech]}\n"


class Machine:
    """One with a model that hears speech, and with what a test puts on it."""

    def __init__(self, folder):
        self.config, self.sockets, self.keeper = folder / "kitchen.yaml", folder / "sockets", folder / "keeper"
        self.sockets.mkdir()
        self.model = write_tiny(folder / "models" / "tiny")

    def keep(self, **fields):
        (self.sockets / "kitchen.sock").touch()
        RuntimeFiles(self.keeper).write(FILE, msgspec.structs.replace(KEEPER, **fields))

    def look(self, clips=WANTED):
        self.config.write_text(f"model: {self.model}\n{clips}")
        settings = load_settings(self.config)
        return look_at_clips(settings, LoadingModel(settings).classifier(), "kitchen", self.sockets, self.keeper)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_where_no_clips_are_wanted_there_is_nothing_to_say(machine):
    machine.keep(problem="the disk is full")
    assert machine.look("") is None


def test_a_model_without_a_label_of_never_records_nothing(machine):
    machine.keep()
    found = machine.look("clips: {labels: [dog_bark], never: [whisper]}\n")
    assert (found.level, found.about) == ("wrong", "clips")
    assert found.what.startswith("none are recorded: tiny has no label of clips.never")
    assert machine.look("clips: {labels: [dog_bark], never: []}\n").level == "ok"


def test_without_a_socket_for_the_keeper_nothing_is_recorded(machine):
    found = machine.look()
    assert (found.level, found.what) == ("wrong", "none are recorded: there is no way to a keeper")
    assert "--with keeper" in found.advice
    machine.keep()
    (machine.sockets / "kitchen.sock").unlink()
    found = machine.look()
    assert (found.level, found.advice) == ("wrong", "`sudo systemctl restart audiomon@kitchen`")


def test_clips_are_not_kept_while_the_keeper_is_away(machine):
    machine.keep(pid=2**22 + 1)  # more than the kernel gives
    found = machine.look()
    assert (found.level, found.what) == ("wrong", "none are kept: the keeper is away")
    assert found.advice == "`sudo systemctl start audiomon-keeper`"


def test_what_is_kept_is_said_and_what_is_wrong_with_the_keeper(machine):
    machine.keep()
    found = machine.look()
    assert found.level == "ok"
    assert found.what == "of baby_cry, dog_bark; the keeper has 2 clips, 1.5 MB · following kitchen · 2 kept"
    machine.keep(problem="the disk is full")
    assert machine.look().level == "wrong"
    assert "the disk is full" in machine.look().what
    machine.keep(listeners=("audiomon",))
    assert machine.look().level == "note"
    assert "does not follow kitchen" in machine.look().what
    (machine.keeper / FILE).write_text("half")
    assert machine.look().level == "note"


def test_check_warns_and_doctor_finds_it_wrong(machine, tmp_path):
    machine.config.write_text(f"model: {machine.model}\nmicrophone: {{device: 'stream:nowhere'}}\n{WANTED}")
    audiomon = Audiomon(tmp_path)
    checked = audiomon("check", "--no-device", "--config", machine.config, model=None)
    assert checked.status == 0, checked
    assert "WARNING clips       none are recorded: there is no way to a keeper" in checked.out
    said = audiomon("doctor", "--config", machine.config, model=None).out
    assert "wrong  clips        none are recorded: there is no way to a keeper\n" in said
    assert "--with keeper" in said
