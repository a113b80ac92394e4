"""Runs the Autobahn testsuite in parts and judges the reports of all."""

import argparse
import json
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import judge

HERE = Path(__file__).resolve().parent
ROLES = ("server", "client")
RUNTIMES = ("tokio", "smol", "async-std")
CASES_OF_THE_SUITE = 517  # of release 25.10.1, which requirements.txt pins
DEFLATE = ("12", "13")
# With --quick, of each kind of deflate case: tiny messages, 1 KiB messages, and large ones in fragments.
SAMPLE = ("1", "4", "11")
LARGEST_MESSAGE = 16 * 1024 * 1024  # cases 9.1.6 and 9.2.6
START_SECONDS = 10
PART_SECONDS = 1200  # the slowest part takes a tenth of it


class SuiteError(Exception):
    """Something other than a case went wrong."""


@dataclass
class Part:
    """Cases that run one after the other; parts run side by side."""

    name: str
    cases: list[str]
    folder: Path

    def write_spec(self, spec):
        self.folder.mkdir(parents=True)
        path = self.folder / "spec.json"
        path.write_text(json.dumps({"outdir": str(self.folder), "cases": self.cases, "exclude-cases": [],
                                    "exclude-agent-cases": {}, **spec}))
        return path


@dataclass
class Testee:
    """Our two roles on one runtime."""

    name: str
    server: Path
    client: Path


def main():
    options = parse_options()
    plan = plan_cases(options)
    passed = failed = 0
    rows = []
    try:
        for testee in options.testees:
            for role in options.roles or ROLES:
                verdict = run_role(role, testee, options, plan)
                passed += verdict.passed
                failed += verdict.failed
                rows.append(verdict.row(role, testee.name))
    except SuiteError as error:
        sys.exit(f"autobahn: {error}")
    print("\n".join([judge.TABLE_HEAD, *rows]))
    print(f"autobahn: {passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


def parse_options():
    parser = argparse.ArgumentParser(prog="tests/autobahn/run", description=__doc__)
    parser.add_argument("roles", nargs="*", metavar="server|client",
                        help="which of our two roles to test (default: both)")
    parser.add_argument("--runtime", action="append", choices=RUNTIMES, dest="runtimes",
                        help="whose examples to test, repeatable (default: all three)")
    parser.add_argument("--quick", action="store_true", help="only a sample of sections 12 and 13")
    parser.add_argument("--without-deflate", action="store_true",
                        help="accept that permessage-deflate (sections 12 and 13) is not implemented")
    parser.add_argument("--server-option", action="append", metavar="OPTION",
                        help="given to the echo server, repeatable (default: --deflate, unless --without-deflate)")
    parser.add_argument("--jobs", type=int, default=2, help="parts at the same time (default: 2)")
    parser.add_argument("--repo", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    for role in options.roles:
        if role not in ROLES:
            parser.error(f"{role} is neither server nor client")
    if options.jobs < 1:
        parser.error("--jobs is less than 1")
    if options.server_option is None:
        options.server_option = [] if options.without_deflate else ["--deflate"]
    build = options.repo / "build"
    options.testees = [Testee(name, build / f"echo-{name}", build / f"autobahn-client-{name}")
                       for name in options.runtimes or RUNTIMES]
    return options


def plan_cases(options):
    """Every case of the suite by its number, or with --quick those that are not left out."""
    listing = subprocess.run(wstest(options, "--list"), capture_output=True, text=True, check=True, timeout=60)
    cases = listing.stdout.split()
    if len(cases) != CASES_OF_THE_SUITE:
        sys.exit(f"autobahn: the suite has {len(cases)} cases, not {CASES_OF_THE_SUITE}; is it another release?")
    if options.quick:
        cases = [case for case in cases if not is_deflate(case) or case.split(".")[2] in SAMPLE]
    return cases


def run_role(role, testee, options, plan):
    reports = options.work / "reports" / testee.name / role
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    (reports / judge.PLAN).write_text(json.dumps(plan))
    parts = divide(plan, reports)
    print(f"{role} on {testee.name}: {len(plan)} cases in {len(parts)} parts", flush=True)
    if role == "server":
        test_server(options, testee.server, reports, parts)
    else:
        test_client(options, testee.client, parts)
    return judge.report(reports, role, options.without_deflate)


def divide(plan, reports):
    """Sections 12 and 13 are most of the time, so each of their kinds is a part, and they go first."""
    parts = {}
    for case in sorted(plan, key=lambda case: not is_deflate(case)):
        section, kind = case.split(".")[:2]
        name = f"{section}.{kind}" if is_deflate(case) else "limits" if section == "9" else "protocol"
        parts.setdefault(name, Part(name, [], reports / name)).cases.append(case)
    return list(parts.values())


def test_server(options, binary, reports, parts):
    command = [program(binary), "--listen", "127.0.0.1:0", "--max-message", str(LARGEST_MESSAGE),
               *options.server_option]
    log = reports / "echo.log"
    with running(command, log) as echo:
        address = wait_for("the echo server's address", lambda: listening_on(log, echo))

        def run_part(part):
            spec = part.write_spec({"servers": [{"agent": "server", "url": f"ws://{address}"}]})
            run_to_end(wstest(options, "-m", "fuzzingclient", "-s", spec), part, "wstest.log")

        run_all(run_part, parts, options.jobs)
        if echo.poll() is not None:
            raise SuiteError(f"the echo server ended with {echo.returncode} on the way, see {log}")


def test_client(options, binary, parts):
    client = program(binary)

    def run_part(part):
        port = free_port()
        spec = part.write_spec({"url": f"ws://127.0.0.1:{port}"})
        command = wstest(options, "-m", "fuzzingserver", "-s", spec, "-u", "0")
        with running(command, part.folder / "wstest.log") as server:
            wait_for("the fuzzing server", lambda: server.poll() is None and accepts(port))
            run_to_end([client, f"ws://127.0.0.1:{port}", "client"], part, "client.log")

    run_all(run_part, parts, options.jobs)


def run_all(run_part, parts, jobs):
    def timed(part):
        start = time.monotonic()
        run_part(part)
        print(f"  {part.name}: {len(part.cases)} cases in {time.monotonic() - start:.0f} s", flush=True)

    with ThreadPoolExecutor(jobs) as pool:
        for _ in pool.map(timed, parts):
            pass  # takes the exceptions


def run_to_end(command, part, log):
    """Runs a program of a part. Its exit code says nothing about the cases: the judge looks at what was reported."""
    with open(part.folder / log, "wb") as output:
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, timeout=PART_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"  {part.name}: stopped after {PART_SECONDS} s", flush=True)


@contextmanager
def running(command, log):
    """A program that runs until the block ends."""
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(what, probe):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if answer := probe():
            return answer
        time.sleep(0.05)
    raise SuiteError(f"{what} did not come within {START_SECONDS} s")


def listening_on(log, echo):
    said = log.read_text(errors="replace")
    if echo.poll() is not None:
        raise SuiteError(f"the echo server ended with {echo.returncode} at once: {said.strip()}")
    lines = [line.split("listening on ")[1] for line in said.splitlines() if "listening on " in line]
    return lines[0].strip() if lines else None


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program(path):
    if not path.is_file():
        raise SuiteError(f"{path} is missing; build it first with tests/build-examples")
    return path.resolve()


def wstest(options, *arguments):
    return [options.work / "env" / "python", HERE / "wstest.py", *arguments]


def is_deflate(case):
    return case.split(".")[0] in DEFLATE


if __name__ == "__main__":
    sys.exit(main())
