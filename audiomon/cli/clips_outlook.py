"""Whether clips of events come to be, for ``check`` and ``doctor``: the model may refuse, and the keeper be away."""

from pathlib import Path

from audiomon.config.settings import Settings
from audiomon.daemon.messages import why_no_clips
from audiomon.diagnostics.doctor.finding import Finding
from audiomon.errors import UserError
from audiomon.foreign import shown
from audiomon.keeper.status import KEEPER_RUNTIME, KeeperStatus, read_keeper_status
from audiomon.models.classifier import Classifier
from audiomon.outputs.clip_protocol import CLIPS_FOLDER
from audiomon.pipeline.clips import clip_rules
from audiomon.runtime_files import unit_of

_MAX_LINE = 300
_INSTALL = "`sudo deploy/install.sh --with keeper`; if a Debian package is installed, `sudo systemctl enable --now {}`"


def look_at_clips(
    settings: Settings,
    classifier: Classifier,
    instance: str,
    sockets: Path = CLIPS_FOLDER,
    keeper_runtime: Path = KEEPER_RUNTIME,
) -> Finding | None:
    """See whether clips of the labels that the settings name are recorded, and kept; None if they name none.

    Args:
        settings: of the listener.
        classifier: its model.
        instance: its name.
        sockets: folder of those on which listeners hand clips over.
        keeper_runtime: folder in which the keeper says how it stands.
    """
    model = classifier.package.manifest.name
    rules = clip_rules(classifier.labels, settings.config.clips, model)
    if not rules.settings.labels:
        return None
    if not rules.can_judge:
        advice = "choose a model that hears speech, or name in clips.never what this one hears of it"
        return Finding("wrong", "clips", f"none are recorded: {why_no_clips(rules, keeper=True)}", advice)
    try:
        keeper = read_keeper_status(keeper_runtime)
    except UserError as error:
        return Finding("note", "clips", f"how the keeper is cannot be seen: {error}")
    has_socket = (sockets / f"{instance}.sock").exists()
    if reason := why_no_clips(rules, has_socket):
        advice = _INSTALL.format("audiomon-keeper") + f"; then `sudo systemctl restart {unit_of(instance)}`"
        if keeper is not None:
            advice = f"`sudo systemctl restart {unit_of(instance)}`"
        return Finding("wrong", "clips", f"none are recorded: {reason}", advice)
    return _kept(keeper, instance, sorted(rules.wanted))


def _kept(keeper: KeeperStatus | None, instance: str, wanted: list[str]) -> Finding:
    if keeper is None:
        advice = "`sudo systemctl start audiomon-keeper`"
        return Finding("wrong", "clips", "none are kept: the keeper is away", advice)
    what, more = shown(keeper.line, _MAX_LINE), "`journalctl -u audiomon-keeper -x -n 50` says more"
    if keeper.problem:
        return Finding("wrong", "clips", what, more)
    if instance not in keeper.listeners:
        return Finding("note", "clips", f"the keeper does not follow {shown(instance)} yet: {what}", more)
    return Finding("ok", "clips", f"of {shown(', '.join(wanted), _MAX_LINE)}; the keeper has {what}")
