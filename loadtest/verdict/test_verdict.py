"""The peers' rules on cases with a known answer, and what is made of a recording: `python3 -m unittest` in this folder."""

import math
import pathlib
import sys
import types
import unittest
import xml.etree.ElementTree

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))

import findings
import plot
import proxy
import service
import tables
from judges import PEERS, argo, envoy_in_a_row, envoy_success_rate, flagger, kayenta
from machine import Failure
from mann_whitney import is_high, shift
from recording import HISTORY_SECONDS, HORIZON_SECONDS, Outcome, Pool, Recording, Second, recorded
from situations import SITUATIONS, Health


def second(failed=0, requests=100, stable_failed=0, stable_requests=400, ms=50):
    """One of the canary's hundred and stable's four hundred requests; failures come first."""
    outcomes = lambda failures, all_of_them: [Outcome(number / all_of_them, number < failures, ms)
                                              for number in range(all_of_them)]
    return Second(outcomes(failed, requests), outcomes(stable_failed, stable_requests))


def recording(*spans, begin=0):
    """Spans of (seconds, second)."""
    return Recording([each for length, each in spans for _ in range(length)], begin)


class Flagger(unittest.TestCase):
    def acts(self, *spans, threshold=5, phase=0, **settings):
        return flagger(recording(*spans), phase, 60, threshold, **settings)

    def test_rolls_back_at_the_run_after_the_threshold(self):
        self.assertEqual(self.acts((600, second(100))), 360)  # failed at 60, 120, 180, 240, 300
        self.assertEqual(self.acts((600, second(100)), threshold=1), 120)

    def test_the_counter_never_decreases(self):
        bad, good = (60, second(100)), (60, second())
        self.assertEqual(self.acts(bad, good, bad, good, bad, good, bad, good, bad, good, good), 600)

    def test_one_percent_of_failures_passes_and_more_does_not(self):
        self.assertIsNone(self.acts((900, second(1))))
        self.assertEqual(self.acts((900, second(2))), 360)

    def test_no_traffic_is_a_failed_check(self):
        self.assertEqual(self.acts((600, second(requests=0))), 360)

    def test_the_99th_percentile_may_be_500_ms(self):
        self.assertIsNone(self.acts((600, second(ms=500))))
        self.assertEqual(self.acts((600, second(ms=501))), 360)


class Argo(unittest.TestCase):
    def acts(self, *spans, failure_limit=3, success_min=0.95):
        return argo(recording(*spans), 0, 300, failure_limit, success_min)

    def test_fails_at_the_fourth_failure_where_the_limit_is_three(self):
        self.assertEqual(self.acts((3000, second(100))), 1200)

    def test_without_a_limit_fails_at_the_first(self):
        self.assertEqual(self.acts((3000, second(100)), failure_limit=0), 300)

    def test_failures_need_not_be_in_a_row(self):
        bad, good = (300, second(100)), (300, second())
        self.assertEqual(self.acts(bad, good, bad, good, bad, good, bad), 2100)

    def test_the_limit_itself_succeeds(self):
        self.assertIsNone(self.acts((3000, second(5))))
        self.assertIsNone(self.acts((3000, second(requests=0))))


class Envoy(unittest.TestCase):
    def test_five_in_a_row_across_seconds(self):
        three = Second([Outcome(0.5, number > 0, 50) for number in range(4)], [])
        self.assertEqual(envoy_in_a_row(recording((1, three), (1, second(2))), 0), 1.01)
        self.assertIsNone(envoy_in_a_row(recording((9, second(4))), 0))

    def test_a_host_far_below_the_others_is_an_outlier(self):
        self.assertEqual(envoy_success_rate(recording((20, second(50))), 0), 10)

    def test_what_all_hosts_do_is_no_outlier(self):
        self.assertIsNone(envoy_success_rate(recording((20, second(30, stable_failed=120))), 0))

    def test_hosts_with_few_requests_are_not_judged(self):
        few = second(9, requests=9, stable_requests=171)
        self.assertIsNone(envoy_success_rate(recording((20, few)), 0))


class Kayenta(unittest.TestCase):
    """The first three are published: spinnaker/spinnaker issue 6278 and spinnaker/kayenta issue 426."""

    def test_seven_of_ten_samples_at_100_pass(self):
        canary, baseline = [100.0] * 7 + [1.0] * 3, [1.0] * 10
        self.assertFalse(is_high(canary, baseline))
        self.assertAlmostEqual(shift(canary, baseline, 0), 98.99992904170193, delta=1e-3)
        self.assertAlmostEqual(shift(canary, baseline, 2.3263), 6.825022991538781e-05, delta=1e-3)

    def test_eight_of_ten_samples_at_100_are_high(self):
        self.assertTrue(is_high([100.0] * 8 + [1.0] * 2, [1.0] * 10))

    def test_sparse_failures_beside_none_pass(self):
        self.assertFalse(is_high([0, 1, 2, 1, 0, 0], [0] * 6))

    def test_a_large_shift_of_fifty_points_is_high_and_none_is_not(self):
        baseline = [10 + number % 7 for number in range(50)]
        self.assertTrue(is_high([value + 10 for value in baseline], baseline))
        self.assertFalse(is_high(baseline[3:] + baseline[:3], baseline))
        self.assertFalse(is_high([value - 10 for value in baseline], baseline))
        self.assertFalse(is_high(baseline, baseline))

    def test_judges_once_at_fifty_points(self):
        minute = [second(9 + number % 3) for number in range(7)]
        bad = Recording([minute[number % 7] for number in range(3000)], 0)
        self.assertEqual(kayenta(bad, 0), 3000)
        self.assertIsNone(kayenta(Recording(bad.seconds[:2999], 0), 0))
        self.assertIsNone(kayenta(recording((3000, second())), 0))


class Recordings(unittest.TestCase):
    def test_a_request_belongs_to_the_second_of_its_answer(self):
        seen = recorded([(-0.5, True, False, 9), (0.25, True, True, 9), (0.75, True, True, 9), (1.0, False, True, 9)], -1, 2)
        self.assertEqual([tuple(each.tally) for each in seen.seconds], [(1, 0, 0), (2, 2, 0), (0, 0, 0)])
        self.assertEqual([seen.failed_until(time) for time in (-1, 0, 0.25, 0.5, 1, 1.5)], [0, 0, 1, 1, 2, 2])

    def test_failures_before_the_fault_are_not_its(self):
        self.assertEqual(recording((10, second(5)), begin=-5).failed_until(1.5), 10)

    def test_who_acts_on_a_failure_has_seen_it(self):
        seen = recording((9, second(5)))
        self.assertEqual(seen.failed_until(envoy_in_a_row(seen, 0)), 5)

    def test_an_extension_keeps_what_was_seen_and_says_what_it_is(self):
        seen = recording((20, second(0)), (30, second(50)), begin=-20)
        longer = Pool([seen], SITUATIONS["half"]).extend(seen, 1)
        self.assertEqual((longer.begin, longer.end), (-20 - HISTORY_SECONDS, HORIZON_SECONDS))
        self.assertEqual(longer.live, range(-20, 30))
        self.assertEqual(longer.between(-20, 30), seen.seconds)
        self.assertEqual(longer.tally(-20 - HISTORY_SECONDS, -20).failed, 0)
        self.assertEqual(longer.tally(30, 130).failed, 5000)

    def test_after_an_incident_all_is_well(self):
        seen = recording((20, second()), (10, second(30)), (20, second()), begin=-20)
        self.assertEqual(Pool([seen], SITUATIONS["incident"]).extend(seen, 1).tally(30, HORIZON_SECONDS).failed, 0)

    def test_chance_between_the_variants_does_not_last_for_an_hour(self):
        seen = recording((150, second(failed=1)))
        longer = Pool([seen], SITUATIONS["good"]).extend(seen, 1)
        drawn = longer.between(150, HORIZON_SECONDS)
        self.assertEqual({(len(each.canary), len(each.stable)) for each in drawn}, {(100, 400)})
        self.assertEqual({len(each.stable_failures) for each in drawn}, {4})
        self.assertIsNone(kayenta(longer, 0))


class Findings(unittest.TestCase):
    def judged(self, *spans, begin=-60, name="half", andon_at=None):
        return self.of(recording(*spans, begin=begin), name, andon_at)

    @staticmethod
    def of(seen, name, andon_at):
        return findings.judged(seen, Pool([seen], SITUATIONS[name]), andon_at, 1)

    def test_what_rests_on_drawn_seconds_is_marked(self):
        acts = self.judged((60, second()), (75, second(50)), andon_at=2.75)
        marked = {judge: findings.delay(mine).extended for judge, mine in acts.items()}
        self.assertEqual([judge for judge in marked if not marked[judge]], [
            "Andon", "Flagger 10 s, threshold 1", "Argo 60 s, failureLimit 0, 99%", "Envoy, five 5xx in a row",
            "Envoy, success rate of hosts"])
        self.assertEqual(findings.delay(acts["Andon"]).failed, 150)

    def test_a_decision_after_the_end_was_not_seen(self):
        acts = self.judged((60, second()), (75, second(50)), andon_at=76)
        self.assertEqual(findings.delay(acts["Andon"]).acted, 0)

    def test_who_acted_before_the_fault_gave_a_false_alarm_and_has_no_delay(self):
        acts = [findings.Act(-3.0, 0), findings.Act(4.0, 10)]
        self.assertEqual(findings.false_alarms("Andon", acts, 60, before=0), 0.5)
        self.assertEqual((findings.delay(acts).acts, findings.delay(acts).seconds), (1, 4.0))

    def test_a_judge_that_needs_longer_than_was_seen_has_no_live_share(self):
        acts = self.judged((180, second(30)), begin=0, name="good")
        live = {judge: findings.false_alarms(judge, mine, 180) for judge, mine in acts.items()}
        self.assertIsNone(live["Kayenta, 50 points of 1 min"])
        self.assertEqual((live["Argo 60 s, failureLimit 0, 99%"], live["Andon"]), (1.0, 0.0))


class Outside(unittest.TestCase):
    """What is read from the proxy and what is written for people."""

    LINE = {"time": "2026-01-02T03:04:05.250Z", "target": "/7", "variant": "canary", "total_ms": 500.0, "rescue": None,
            "blame": "upstream"}

    def test_a_line_of_the_log(self):
        line = proxy.parse(self.LINE)
        self.assertEqual((line.run, line.is_canary, line.failed, line.harmed), (7, True, True, True))
        self.assertEqual(line.ended - line.began, 0.5)

    def test_a_rescued_request_failed_and_harmed_nobody(self):
        line = proxy.parse(self.LINE | {"rescue": "server_error", "blame": "nobody"})
        self.assertEqual((line.failed, line.rescued, line.harmed), (True, True, False))

    def test_what_is_neither_success_nor_failure_stops_the_comparison(self):
        with self.assertRaises(Failure):
            proxy.parse(self.LINE | {"blame": "andon"})

    def test_clumps_come_in_a_row_and_fail_the_same_share(self):
        run = types.SimpleNamespace(situation=None)
        variant = service.Variant(run, True, "seed")
        fails = [variant.fails(Health(fails=0.02, clump=10)) for _ in range(100_000)]
        self.assertAlmostEqual(sum(fails) / len(fails), 0.02, delta=0.004)
        runs = "".join("x" if failed else " " for failed in fails).split()
        self.assertTrue(all(len(run) % 10 == 0 for run in runs))

    def test_the_report_and_the_picture_hold_every_judge(self):
        options = types.SimpleNamespace(quick=False, runs=1)
        seen = recording((60, second()), (75, second(50)), begin=-60)
        acts = {name: Findings.of(seen, name, 2.5) for name in SITUATIONS}
        report = tables.report(acts, [], "- facts", "picture.svg", options)
        picture = plot.picture(acts, options)
        words = "".join(xml.etree.ElementTree.fromstring(picture).itertext())
        for name in ["Andon", *(peer.name for peer in PEERS)]:
            self.assertIn(name, report)
            self.assertIn(name, words)
        self.assertIn("(extended)", report)
        self.assertIn("(extended)", words)


if __name__ == "__main__":
    unittest.main()
