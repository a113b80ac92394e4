"""The suite's own program, for Python 2.7, with two changes.

`--list` prints the number of every case there is, one per line, so that a report can be compared with a plan.
Its fuzzing server listens on 127.0.0.1 only; as released it listens on every interface.
"""
from __future__ import print_function

import sys

from autobahn.twisted import websocket

listen_anywhere = websocket.listenWS


def listen_on_loopback(factory, contextFactory=None, backlog=50):
    return listen_anywhere(factory, contextFactory, backlog, "127.0.0.1")


websocket.listenWS = listen_on_loopback  # before the suite imports the name

from autobahntestsuite import case, caseset, wstest  # noqa: E402

if sys.argv[1:] == ["--list"]:
    cases = caseset.CaseSet(case.CaseSetname, case.CaseBasename, case.Cases, case.CaseCategories, case.CaseSubCategories)
    print("\n".join(sorted(cases.CasesById, key=cases.caseIdtoIdTuple)))
else:
    wstest.run()
