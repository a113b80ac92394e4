"""What the clients in Python share: checks with a deadline, and what becomes of them."""

import asyncio
from importlib.metadata import version

DEADLINE = 10  # seconds


class Judge:
    def __init__(self, library, deviations=()):
        self.checks = 0
        self.unused = set(deviations)
        print(f"library Python {library} {version(library)}")

    async def test(self, name, body, *arguments):
        self.checks += 1
        known = name in self.unused
        self.unused.discard(name)
        try:
            await asyncio.wait_for(body(*arguments), DEADLINE)
        except Exception as error:  # whatever it is, the check failed
            why = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"{'deviates' if known else 'not ok'} {name}: {why}", flush=True)
        else:
            listed = f"not ok {name}: it is listed as a deviation, and passes"
            print(listed if known else f"ok {name}", flush=True)

    def end(self):
        for name in self.unused:
            print(f"not ok {name}: it is listed as a deviation, but was not run")
        print(f"done {self.checks + len(self.unused)}")


def same(found, expected, what="it"):
    if found != expected:
        short = lambda value: repr(value)[:100]
        raise AssertionError(f"{what} is {short(found)}, not {short(expected)}")
