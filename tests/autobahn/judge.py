#!/usr/bin/env python3
"""Judges the reports of an Autobahn run: every case that was planned must be there, and must be good.

Usage: judge.py [--without-deflate] FOLDER     (build/autobahn/reports/tokio/server, say)
"""

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

PLAN = "plan.json"
INDEX = "index.json"
VERDICTS = ("behavior", "behaviorClose")
# These ask what a peer does where RFC 6455 leaves it free, and have no other verdict.
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}
DEFLATE = ("12.", "13.")
# Where a client's task and that of its connection run on two threads, the answer to a message right in
# front of a fault may come too late: the suite calls that NON-STRICT, and lets it pass.
FAULTS = ("3.", "4.", "5.")
TWO_THREADS = {("async-std", "client")}

TABLE_HEAD = "| runtime | role | cases | OK | INFORMATIONAL | NON-STRICT | failed |\n|---|---|---:|---:|---:|---:|---:|"


@dataclass
class Verdict:
    """What a run came to."""

    passed: int
    failed: int
    informational: int
    non_strict: int

    def row(self, role, runtime):
        ok = self.passed - self.informational - self.non_strict
        counts = [self.passed + self.failed, ok, self.informational, self.non_strict, self.failed]
        return " | ".join([f"| {runtime} | {role}", *map(str, counts)]) + " |"


def report(folder, agent, without_deflate):
    """Prints what is wrong, and a line per section. The folder is called RUNTIME/ROLE."""
    two_threads = folder.resolve().parts[-2:] in TWO_THREADS
    plan = json.loads((folder / PLAN).read_text())
    found, faults = read_indexes(folder, agent)
    for case in plan:
        if case not in found:
            faults[case] = "planned, but not in any report"
    for case, (entry, part) in found.items():
        if case not in plan:
            faults[case] = "reported, but not planned"
        elif not is_good(case, entry, without_deflate, two_threads):
            faults[case] = describe(entry, part)

    for case in sorted(faults, key=case_number):
        print(f"FAIL  {agent} {case}: {faults[case]}")
    sections = Counter(case.split(".")[0] for case in plan)
    bad = Counter(case.split(".")[0] for case in faults)
    for section in sorted(sections | bad, key=int):
        print(f"{'FAIL' if bad[section] else 'ok  '}  {agent} section {section}: {sections[section]} cases, {bad[section]} failed")
    good = [entry for case, (entry, _) in found.items() if case not in faults]
    informational, non_strict = (
        sum(word in (entry[verdict] for verdict in VERDICTS) for entry in good) for word in ("INFORMATIONAL", "NON-STRICT"))
    return Verdict(len(good), len(faults), informational, non_strict)


def read_indexes(folder, agent):
    """The entries by case, with the folder that holds their details; and the cases that came twice."""
    found, faults = {}, {}
    for index in sorted(folder.glob(f"*/{INDEX}")):
        for case, entry in json.loads(index.read_text()).get(agent, {}).items():
            if case in found:
                faults[case] = "reported twice"
            found[case] = (entry, index.parent)
    return found, faults


def is_good(case, entry, without_deflate, two_threads):
    allowed = {"OK"}
    if two_threads and case.startswith(FAULTS) and entry.get("behaviorClose") == "OK":
        allowed.add("NON-STRICT")
    if case in INFORMATIONAL:
        allowed.add("INFORMATIONAL")
    if without_deflate and case.startswith(DEFLATE):
        allowed.add("UNIMPLEMENTED")
    return all(entry.get(verdict) in allowed for verdict in VERDICTS)


def describe(entry, part):
    verdicts = ", ".join(f"{verdict} {entry.get(verdict)}" for verdict in VERDICTS)
    try:
        detail = json.loads((part / entry["reportfile"]).read_text())
        return f"{verdicts}; {detail['result']} {detail['resultClose']}"
    except (KeyError, OSError, ValueError):
        return f"{verdicts}; no details"


def case_number(case):
    return [int(number) for number in case.split(".")]


def main():
    arguments = sys.argv[1:]
    without_deflate = "--without-deflate" in arguments
    folders = [Path(argument) for argument in arguments if argument != "--without-deflate"]
    if len(folders) != 1 or not (folders[0] / PLAN).is_file():
        sys.exit(__doc__)
    verdict = report(folders[0], folders[0].name, without_deflate)
    print(f"autobahn: {verdict.passed} passed, {verdict.failed} failed")
    return 0 if verdict.failed == 0 and verdict.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
