"""The commands that our client sends to servers in Python; README.md has the list."""

from importlib.metadata import version

WHOLE = "one 世界 text".encode()
FRAGMENTS = [WHOLE[:5], WHOLE[5:9], WHOLE[9:]]  # cut inside characters


class Commands:
    """Answers texts. `connection` has what the library can do; `last_close` is the server's."""

    last_close = ""

    @classmethod
    def closed(cls, code, reason):
        cls.last_close = f"closed {code} {reason}"

    @classmethod
    async def answer(cls, text, connection):
        command, _, rest = text.partition(" ")
        match command:
            case "!close":
                code, _, reason = rest.partition(" ")
                await connection.close(int(code or 1000), reason)
            case "!fragments":
                await connection.fragments(FRAGMENTS, text=rest != "binary")
            case "!header":
                await connection.send(f"header {connection.header(rest)}")
            case "!last-close":
                await connection.send(cls.last_close)
            case "!ping":
                await connection.ping(rest)
            case "!pings":
                await connection.send("pings " + ",".join(connection.pings))
            case _:
                await connection.send(text)


def announce(library, lines, port):
    print(f"library Python {library} {version(library)}")
    for line in lines:
        print(line)
    print(f"listening on 127.0.0.1:{port}", flush=True)
