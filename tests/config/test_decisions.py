"""A configuration's decisions laid over a model's."""

import pytest

from audiomon.config import Decisions, LabelDecisions, Threshold, decision_rules
from audiomon.errors import FieldError

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


def test_a_denied_label_has_no_threshold():
    assert list(decision_rules(LABELS, Decisions(deny=("background",)), NOTHING).thresholds) == ["dog.bark", "speech"]


def test_the_configurations_list_of_denied_labels_replaces_the_manifests_even_if_empty():
    manifest = Decisions(deny=("background",))
    assert "background" in decision_rules(LABELS, manifest, Decisions(deny=())).thresholds
    assert list(decision_rules(LABELS, manifest, Decisions(deny=("speech",))).thresholds) == [
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
            Decisions(deny=("speech", "cat")),
            ("deny", 1),
            "deny[1]: the model has no label 'cat'; it has background, dog.bark, speech",
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
    with pytest.raises(FieldError) as caught:
        decision_rules(LABELS, *layers)
    assert caught.value.keys == keys
    assert str(caught.value) == said


def test_thresholds_of_a_denied_label_are_not_compared():
    decisions = Decisions(deny=("speech",), labels={"speech": LabelDecisions(on=0.1)})
    assert "speech" not in decision_rules(LABELS, decisions, NOTHING).thresholds


def test_equal_thresholds_are_allowed():
    assert decision_rules(LABELS, Decisions(on=0.5, off=0.5), NOTHING).thresholds["speech"] == Threshold(0.5, 0.5)


MANY = ("Dog", "Dog bark", "Domestic animals, pets", "Cat", "Music [live]", "Child speech", "Speech")


def test_a_line_with_a_wildcard_is_for_every_label_that_it_matches():
    config = Decisions(on=0.6, labels={"Do*": LabelDecisions(on=0.8), "?at": LabelDecisions(on=0.7)})
    thresholds = decision_rules(MANY, NOTHING, config).thresholds
    assert {label: threshold.on for label, threshold in thresholds.items()} == {
        "Dog": 0.8,
        "Dog bark": 0.8,
        "Domestic animals, pets": 0.8,
        "Cat": 0.7,
        "Music [live]": 0.6,
        "Child speech": 0.6,
        "Speech": 0.6,
    }


def test_a_labels_own_line_wins_over_a_wildcard_and_a_lower_wildcard_over_a_higher():
    config = Decisions(
        labels={"Dog": LabelDecisions(on=0.9), "*": LabelDecisions(on=0.5), "Dog*": LabelDecisions(on=0.7, off=0.3)}
    )
    thresholds = decision_rules(MANY, NOTHING, config).thresholds
    assert thresholds["Dog"] == Threshold(on=0.9, off=0.3)
    assert thresholds["Dog bark"] == Threshold(on=0.7, off=0.3)
    assert thresholds["Cat"].on == 0.5


def test_a_wildcard_of_the_configuration_wins_over_a_labels_own_line_in_the_manifest():
    manifest = Decisions(labels={"Dog": LabelDecisions(on=0.9)})
    thresholds = decision_rules(MANY, manifest, Decisions(labels={"*": LabelDecisions(on=0.5)})).thresholds
    assert thresholds["Dog"].on == 0.5


def test_only_allowed_labels_that_are_not_denied_make_events():
    config = Decisions(allow=("Do*", "*peech"), deny=("* bark", "Child*"))
    assert list(decision_rules(MANY, NOTHING, config).thresholds) == ["Dog", "Domestic animals, pets", "Speech"]


def test_what_the_configuration_allows_it_allows_whatever_the_manifest_denies():
    manifest = Decisions(allow=("Dog", "Cat"), deny=("Cat",))
    assert list(decision_rules(MANY, manifest, NOTHING).thresholds) == ["Dog"]
    assert list(decision_rules(MANY, manifest, Decisions(allow=("Cat",))).thresholds) == ["Cat"]
    assert list(decision_rules(MANY, manifest, Decisions(deny=("Dog",))).thresholds) == ["Cat"]
    assert not decision_rules(MANY, manifest, Decisions(allow=())).thresholds


@pytest.mark.parametrize(("pattern", "label"), [("Music [live]", "Music [live]"), ("Music [*", "Music [live]")])
def test_brackets_are_just_brackets(pattern, label):
    assert list(decision_rules(MANY, NOTHING, Decisions(allow=(pattern,))).thresholds) == [label]


@pytest.mark.parametrize(
    ("decisions", "said"),
    [
        (Decisions(allow=("Dgo*",)), "allow[0]: no label of the model matches 'Dgo*'; did you mean"),
        (
            Decisions(deny=("Bird",)),
            "deny[0]: the model has no label 'Bird'; `audiomon models show` lists its 521 labels",
        ),
        (
            Decisions(labels={"Speehc": LabelDecisions()}),
            "labels.Speehc: the model has no label 'Speehc'; did you mean",
        ),
    ],
)
def test_of_many_labels_the_nearest_are_named(decisions, said):
    labels = (*MANY, *(f"{number:03}" for number in range(521 - len(MANY))))
    with pytest.raises(FieldError) as caught:
        decision_rules(labels, NOTHING, decisions)
    assert str(caught.value).startswith(said)
    assert len(str(caught.value)) < 200


def test_a_label_that_is_given_in_another_case_is_named():
    labels = (*(f"Xylophone {number:04}" for number in range(5000)), "Dog")
    with pytest.raises(FieldError, match=r"did you mean Dog\?$"):
        decision_rules(labels, NOTHING, Decisions(deny=("dog",)))


@pytest.mark.parametrize("pattern", ["*a" * 60 + "*z", "*?" * 60 + "*z", "*a*?" * 50 + "z"])
def test_a_wildcard_made_to_be_slow_is_as_fast_as_any_other(pattern):
    labels = ("a" * 200, "a" * 199 + "z")
    denied = decision_rules(labels, Decisions(deny=(pattern,)), NOTHING)
    assert list(denied.thresholds) == ["a" * 200]
    named = decision_rules(labels, Decisions(labels={pattern: LabelDecisions(on=0.9)}), NOTHING)
    assert [threshold.on for threshold in named.thresholds.values()] == [0.6, 0.9]


@pytest.mark.parametrize(
    "decisions",
    [
        Decisions(deny=tuple(f"*{number}*" for number in range(501))),
        Decisions(deny=("*",) * 251, allow=("*",) * 250),
        Decisions(allow=("*" * 1000,) * 100),
    ],
)
def test_more_wildcards_than_can_be_matched_in_good_time_are_refused(decisions):
    labels = tuple(f"{number:05}" for number in range(1000))
    with pytest.raises(FieldError, match=r"^more or longer wildcards than can be matched with 1000 labels$"):
        decision_rules(labels, decisions, NOTHING)


def test_a_label_that_a_stranger_named_is_quoted_in_short():
    label = "\x1b[2J" + "y" * 1_000_000
    with pytest.raises(FieldError) as caught:
        decision_rules(("speech",), NOTHING, Decisions(deny=(label,)))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


def test_thresholds_that_cross_are_named_where_they_do():
    with pytest.raises(FieldError) as caught:
        decision_rules(MANY, NOTHING, Decisions(labels={"Do*": LabelDecisions(on=0.2)}))
    assert str(caught.value) == ("labels.Do*.on: Dog would turn on at 0.2 and off at 0.4; off must be at most on")
