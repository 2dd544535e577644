"""What is read from the loads and what is made of it, held to cases with a known answer. Nothing is started here."""

import json
import pathlib
import tempfile
import unittest

import check
import figures
import llvm
import load
import plot
import report
import strace
import upstreams
from machine import Failure
from scenarios import IDLE_CONNECTIONS, OF_THE_GOALS, SCENARIOS, within_files
from shape import Shape

H2LOAD = """\
finished in 2.00s, 2.00 req/s, 100B/s
requests: 4 total, 4 started, 4 done, 4 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 4 2xx, 0 3xx, 0 4xx, 0 5xx
"""
H2LOAD_LOG = "100\t200\t1000\n101\t200\t3000\n102\t200\t2000\n103\t200\t9000\n"
STRACE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000600           1       600        10 read
 40.00    0.000400           2       200           writev
------ ----------- ----------- --------- --------- ----------------
100.00    0.001000           1       800        10 total
"""


def rounds(*values, key="cpu_us"):
    return [{key: value} for value in values]


class Parsing(unittest.TestCase):
    def test_wrk_prints_its_own_figures_first(self):
        line = {"requests": 100, "seconds": 2.0, "failed": 0, "p50_ms": 1, "p99_ms": 2, "p999_ms": 3}
        counted = load.parse_wrk(f"Running 2s test\n  100 requests in 2.00s\n{json.dumps(line)}\n")
        self.assertEqual(counted["requests_per_second"], 50)

    def test_wrk_without_figures_is_a_failure(self):
        with self.assertRaises(Failure):
            load.parse_wrk("unable to connect to 127.0.0.1:1\n")

    def test_h2load_counts_and_its_log_gives_percentiles(self):
        counted = load.parse_h2load(H2LOAD, H2LOAD_LOG, 2)
        self.assertEqual((counted["requests"], counted["failed"], counted["requests_per_second"]), (4, 0, 2))
        self.assertEqual((counted["p50_ms"], counted["p999_ms"]), (3.0, 9.0))

    def test_h2load_answers_other_than_2xx_are_failed(self):
        text = H2LOAD.replace("4 succeeded, 0 failed", "3 succeeded, 1 failed")
        with self.assertRaisesRegex(Failure, "worthless"):
            load.without_failures(load.parse_h2load(text, H2LOAD_LOG, 2), "h2load")

    def test_no_request_at_all_is_a_failure_too(self):
        with self.assertRaises(Failure):
            load.without_failures({"requests": 0, "failed": 0}, "wrk")

    def test_strace_counts_calls_with_and_without_errors(self):
        self.assertEqual(strace.parse(STRACE), {"read": 600, "writev": 200})


RUSTC = "rustc 1.95.0 (59807616e 2026-04-14)\nhost: riscv64gc-unknown-linux-gnu\nrelease: 1.95.0\nLLVM version: 22.1.2\n"


class Profiles(unittest.TestCase):
    def test_the_compiler_says_its_host_and_its_llvm(self):
        self.assertEqual((llvm.host(RUSTC), llvm.major(RUSTC)), ("riscv64gc-unknown-linux-gnu", 22))
        self.assertIsNone(llvm.major("command not found"))

    def test_the_first_program_that_is_new_enough_reads_the_counts(self):
        with tempfile.TemporaryDirectory() as folder:
            said = {"none": "oh", "old": "Debian LLVM version 19.1.7", "fit": "LLVM version 22.1.2", "newer": "LLVM version 23.0.0"}
            paths = [f"{folder}/{name}" for name in said]
            for path, text in zip(paths, said.values()):
                pathlib.Path(path).write_text(f"#!/bin/sh\necho '{text}'\n")
                pathlib.Path(path).chmod(0o755)
            self.assertEqual(llvm.newest([f"{folder}/absent", *paths], 22), paths[2])
            self.assertEqual(llvm.newest(paths, 23), paths[3])
            self.assertIsNone(llvm.newest(paths, 24))

    def test_rustups_own_comes_before_the_systems(self):
        places = llvm.places(RUSTC, "/rust", 22)
        self.assertEqual(places[0], "/rust/lib/rustlib/riscv64gc-unknown-linux-gnu/bin/llvm-profdata")
        self.assertIn("llvm-profdata-22", places)


class Places(unittest.TestCase):
    def test_the_last_of_many_routes_is_asked(self):
        self.assertEqual(load.path_in(Shape(routes=10_000), "/check"), "/r9999/check")
        self.assertEqual(load.path_in(Shape(), "/check"), "/check")

    def test_endpoints_end_neither_in_0_nor_in_255(self):
        addresses = upstreams.addresses(1000)
        self.assertEqual((addresses[0], addresses[253], addresses[254]), ("127.0.0.1", "127.0.0.254", "127.0.1.1"))
        self.assertEqual(len(set(addresses)), 1000)
        self.assertFalse([address for address in addresses if address.endswith((".0", ".255"))])

    def test_idle_connections_stay_within_the_limit_of_files(self):
        scenario = SCENARIOS["idle-10k"]
        self.assertEqual(within_files(scenario, 65_536).connections, IDLE_CONNECTIONS)
        self.assertEqual(within_files(scenario, 1_000).connections, 200)


class EqualWork(unittest.TestCase):
    WANTED = ["127.0.0.1", "https", "shop.example"]

    def answers(self, canary, body="127.0.0.1|https|shop.example|id", version="HTTP/2.0"):
        variants = ["canary"] * canary + ["stable"] * (1000 - canary)
        return [{"status": 200, "version": version, "body": f"{variant}|{body}"} for variant in variants]

    def share(self, answers):
        return check.share_of_canary("peer", answers, "HTTP/2.0", self.WANTED)

    def test_five_percent_and_all_headers_pass(self):
        self.assertEqual(self.share(self.answers(50)), 0.05)

    def test_another_share_another_version_or_a_missing_header_does_not(self):
        spoilt = [self.answers(0), self.answers(79), self.answers(50, version="HTTP/1.1"),
                  self.answers(50, "127.0.0.1|http|shop.example|id"), self.answers(50, "127.0.0.1|https|shop.example|")]
        for answers in spoilt:
            with self.assertRaises(Failure):
                self.share(answers)


class Statistics(unittest.TestCase):
    def test_a_ratio_is_taken_within_a_round(self):
        self.assertEqual(figures.ratios(rounds(10, 20), rounds(20, 40), "cpu_us"), [0.5, 0.5])

    def test_a_round_with_nothing_to_divide_by_drops_out(self):
        self.assertEqual(figures.ratios(rounds(10, 20), rounds(0, 40), "cpu_us"), [0.5])
        self.assertEqual(figures.ratio_cell(rounds(1), rounds(0), "cpu_us"), "–")

    def test_a_spread_larger_than_the_difference_is_marked(self):
        self.assertTrue(figures.ratio_cell(rounds(9, 12, 10), rounds(10, 10, 10), "cpu_us").startswith("~ 1.00"))
        self.assertEqual(figures.ratio_cell(rounds(5, 5.1, 5), rounds(10, 10, 10), "cpu_us"), "0.50 (0.50–0.51)")

    def test_an_interval_holds_the_median_with_95_percent(self):
        """The ranks are those of any table of the sign test."""
        for count, rank in [(1, 1), (5, 1), (6, 1), (9, 2), (10, 2), (12, 3), (20, 6), (25, 8)]:
            self.assertEqual(figures.interval(range(1, count + 1)), (rank, count + 1 - rank), count)

    def test_of_many_rounds_a_ratio_is_marked_if_it_may_be_1(self):
        nine = [0.9] * 9
        self.assertFalse(figures.is_drowned([0.5, *nine, 0.99, 1.5]))
        self.assertTrue(figures.is_drowned([0.5, *nine[3:], 1.01, 1.01, 1.01, 1.5]))

    def test_idle_connections_have_fewer_rounds_and_each_a_new_process(self):
        idle, small = SCENARIOS["idle-10k"], SCENARIOS["small"]
        self.assertEqual([scenario.rounds_of(12) for scenario in (idle, small)], [3, 12])
        self.assertEqual([name for name, each in SCENARIOS.items() if each.has_one_pace], ["open-loop"])
        self.assertEqual([idle.rounds_of(2), idle.leaves_traces, small.leaves_traces], [1, True, False])

    def test_the_best_peer_is_neither_andon_nor_a_floor(self):
        rows = {"andon": rounds(1), "l4": rounds(2), "nginx": rounds(4), "haproxy": rounds(3)}
        self.assertEqual(figures.best_of(rows, "cpu_us", {"l4"}), "haproxy")
        self.assertIsNone(figures.best_of({"andon": rounds(1)}, "cpu_us", set()))


class Scenarios(unittest.TestCase):
    def test_every_load_and_headline_is_known(self):
        columns = {key for key, _, _ in report.COLUMNS}
        for scenario in SCENARIOS.values():
            self.assertIn(scenario.load, {*load.LOADS, "idle", "open-loop"})
            self.assertIn(scenario.headline, columns)
        self.assertIn("small", OF_THE_GOALS)

    def test_the_readme_names_every_scenario(self):
        readme = (pathlib.Path(report.__file__).parent / "README.md").read_text()
        self.assertEqual([name for name in SCENARIOS if f"`{name}`" not in readme], [])


class Reports(unittest.TestCase):
    def setUp(self):
        keys = {"requests_per_second": 100, "p50_ms": 1, "p99_ms": 2, "p999_ms": 3, "rss_mib": 4, "busy": 0.9,
                "failed": 0, "curve": [[0, 1], [50, 1], [99, 2], [100, 3]]}
        self.peers = {name: [keys | {"cpu_us": cost}] * 3 for name, cost in [("andon", 8), ("nginx", 10), ("l4", 5)]}

    def test_the_overview_divides_by_the_best_peer(self):
        text = report.report("title", {"small": {"": self.peers}}, {}, SCENARIOS, {"l4"}, "facts")
        self.assertIn("nginx 10.0", text)
        self.assertIn("| 0.80 ", text)
        self.assertIn("andon ÷ l4", text)

    def test_on_is_divided_by_off(self):
        off = {"andon": [figures | {"cpu_us": 4} for figures in self.peers["andon"]]}
        on = {"andon": self.peers["andon"]}
        text = report.report("title", {"guard": {"on": on, "off": off}}, {}, SCENARIOS, set(), "facts")
        self.assertIn("andon: on ÷ off", text)
        self.assertIn("| 2.00 ", text)

    def test_what_was_not_measured_is_said(self):
        text = report.report("title", {"tls": {}}, {"tls": ["l4 is left out: it ends no TLS"]}, SCENARIOS, {"l4"}, "facts")
        self.assertIn("- l4 is left out: it ends no TLS", text)

    def test_pictures_name_every_peer(self):
        results = {"open-loop": {"at 50%": self.peers}}
        for picture in [plot.bars("title", results, SCENARIOS, {"l4"}), plot.curves("title", results, SCENARIOS)]:
            self.assertTrue(picture.startswith("<svg") and picture.endswith("</svg>\n"))
            self.assertEqual([name for name in self.peers if f">{name}" not in picture], [])
        self.assertIsNone(plot.curves("title", {"small": {"": self.peers}}, SCENARIOS))


if __name__ == "__main__":
    unittest.main()
