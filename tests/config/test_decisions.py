"""A configuration's decisions laid over a model's."""

import pytest

from audiomon.config import Decisions, LabelDecisions, RulesError, Threshold, decision_rules

LABELS = ("background", "dog.bark", "speech")
NOTHING = Decisions()


def test_without_any_settings_every_label_has_the_last_resort():
    rules = decision_rules(LABELS, NOTHING, NOTHING)
    assert rules.smoothing_s == 1.0
    assert rules.thresholds == dict.fromkeys(LABELS, Threshold(on=0.6, off=0.4, min_on_s=0.0, min_off_s=0.5))


def test_the_configuration_wins_over_the_manifest_key_by_key():
    rules = decision_rules(
        LABELS, Decisions(smoothing_s=3, on=0.9, min_on_s=2), Decisions(smoothing_s=0, on=0.8, min_off_s=7)
    )
    assert rules.smoothing_s == 0
    assert rules.thresholds["speech"] == Threshold(on=0.8, off=0.4, min_on_s=2, min_off_s=7)


def test_a_labels_own_entry_wins_over_the_general_one_even_if_that_is_the_configurations():
    manifest = Decisions(labels={"speech": LabelDecisions(on=0.9), "dog.bark": LabelDecisions(on=0.7, off=0.1)})
    config = Decisions(on=0.5, labels={"dog.bark": LabelDecisions(on=0.8)})
    thresholds = decision_rules(LABELS, manifest, config).thresholds
    assert thresholds["background"].on == 0.5
    assert thresholds["speech"].on == 0.9
    assert thresholds["dog.bark"] == Threshold(on=0.8, off=0.1)


def test_an_ignored_label_has_no_threshold():
    assert list(decision_rules(LABELS, Decisions(ignore=("background",)), NOTHING).thresholds) == ["dog.bark", "speech"]


def test_the_configurations_list_of_ignored_labels_replaces_the_manifests_even_if_empty():
    manifest = Decisions(ignore=("background",))
    assert "background" in decision_rules(LABELS, manifest, Decisions(ignore=())).thresholds
    assert list(decision_rules(LABELS, manifest, Decisions(ignore=("speech",))).thresholds) == [
        "background",
        "dog.bark",
    ]


@pytest.mark.parametrize(
    ("decisions", "keys", "said"),
    [
        (
            Decisions(labels={"cat": LabelDecisions()}),
            ("labels", "cat"),
            "labels.cat: the model has no label 'cat'; it has background, dog.bark, speech",
        ),
        (
            Decisions(ignore=("speech", "cat")),
            ("ignore",),
            "ignore: the model has no label 'cat'; it has background, dog.bark, speech",
        ),
        (
            Decisions(on=0.3),
            ("on",),
            "on: background would turn on at 0.3 and off at 0.4; off must be at most on",
        ),
        (
            Decisions(off=0.7),
            ("off",),
            "off: background would turn on at 0.6 and off at 0.7; off must be at most on",
        ),
        (
            Decisions(on=0.9, labels={"dog.bark": LabelDecisions(off=0.95)}),
            ("labels", "dog.bark", "off"),
            "labels.dog.bark.off: dog.bark would turn on at 0.9 and off at 0.95; off must be at most on",
        ),
    ],
)
@pytest.mark.parametrize("whose", ["manifest", "configuration"])
def test_decisions_that_a_model_cannot_follow_are_refused_by_key(decisions, keys, said, whose):
    layers = (decisions, NOTHING) if whose == "manifest" else (NOTHING, decisions)
    with pytest.raises(RulesError) as caught:
        decision_rules(LABELS, *layers)
    assert caught.value.keys == keys
    assert str(caught.value) == said


def test_thresholds_of_an_ignored_label_are_not_compared():
    decisions = Decisions(ignore=("speech",), labels={"speech": LabelDecisions(on=0.1)})
    assert "speech" not in decision_rules(LABELS, decisions, NOTHING).thresholds


def test_equal_thresholds_are_allowed():
    assert decision_rules(LABELS, Decisions(on=0.5, off=0.5), NOTHING).thresholds["speech"] == Threshold(0.5, 0.5)
