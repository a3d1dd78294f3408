"""What the field's protocols make of counts."""

import pytest

from edgernn.train.protocols import mlperf, picovoice


def tried(threshold, missed, false_alarms, hours, upper):
    return {"threshold": threshold, "missed": missed, "false_alarms": false_alarms, "hours": hours,
            "per_hour": false_alarms / hours, "interval": [0.0, upper]}


def test_picovoices_protocol_reads_the_fewest_misses_at_one_false_alarm_in_ten_hours():
    curve = [tried(0.3, 1, 9, 40, 0.43), tried(0.5, 3, 4, 40, 0.26), tried(0.7, 5, 0, 40, 0.092)]
    found = picovoice(curve, "10 dB")
    assert (found["threshold"], found["condition"], found["shown"]) == (0.5, "10 dB", False)
    assert picovoice(curve[2:], "10 dB")["shown"]
    assert picovoice(curve[:1], "10 dB") is None


def test_picovoices_protocol_is_not_answered_from_less_than_ten_hours():
    assert picovoice([tried(0.5, 3, 0, 9, 0.41)], "10 dB") is None
    assert picovoice([tried(0.5, 3, 0, 10, 0.37)], "10 dB")["shown"] is False


@pytest.mark.parametrize(("missed", "among_words", "besides", "held"),
                         [(8, 4, 4, True), (9, 0, 0, False), (0, 5, 4, False)])
def test_mlperfs_rule_counts_false_alarms_among_words_and_besides(missed, among_words, besides,
                                                                  held):
    words = [{"condition": "clean", "state": "carried", "said": 50, "missed": 0,
              "false_alarms": 0},
             {"condition": "10 dB", "state": "reset", "said": 50, "missed": 50,
              "false_alarms": 50},
             {"condition": "10 dB", "state": "carried", "said": 50, "missed": missed,
              "false_alarms": among_words}]
    found = mlperf(words, besides)
    assert found["held"] is held
    assert (found["condition"], found["missed"], found["false_alarms"]) == (
        "10 dB", missed, among_words + besides)


def test_mlperfs_rule_says_nothing_of_fewer_words_than_it_lets_a_model_miss():
    assert mlperf([{"condition": "clean", "state": "carried", "said": 8, "missed": 8,
                    "false_alarms": 0}], 0) is None
