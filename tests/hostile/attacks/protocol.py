"""What a worker may not say to the host: each ends it."""

from __future__ import annotations

from tests.hostile.record import FRAME, PROTOCOL, Attack
from tests.hostile.scenes import belief, loading

GROUP = "protocol"
KILLED = (PROTOCOL,)


def _forged(name: str, code: str, *, quick: bool = False) -> Attack:
    stay = "\nimport time\nwhile True: time.sleep(1)"
    return Attack(name, GROUP, FRAME, code + stay, KILLED, control=None, quick=quick)


ATTACKS = (
    _forged("send noise", "send(b'noise')", quick=True),
    _forged("send nothing at all", "import socket; socket.socket(1, 5, 0, os.dup(3)).send(b'')"),
    _forged("send an unknown kind of frame", "send([99])"),
    _forged("send what only the host sends", "send([2, 1, 1, 'Released', 0])"),
    _forged("send a frame that is too large", "send(b'x' * 80_000)"),
    _forged("send a frame nested without end", "send(b'\\x91' * 60_000)"),
    _forged(
        "send a frame that announces four billion entries", "send(b'\\xdf\\xff\\xff\\xff\\xff')"
    ),
    _forged("send a frame with a field too many", "send([3, 1, 0, b'', 0.0, False, 0, 'more'])"),
    _forged(
        "send a frame with bytes behind it",
        "import msgspec\nsend(msgspec.msgpack.encode([3, 1, 0, b'']) + b'x')",
    ),
    _forged("answer a call that nobody made", "send([3, 999_999, 0, b''])"),
    _forged("answer a call with a negative number", "send([3, -1, 0, b''])"),
    Attack("answer its call twice", GROUP, FRAME, drive=belief.answer_twice, control=None),
    _forged("answer with a time that is no number", "send([3, 1, 0, b'', float('nan')])"),
    _forged("answer with a time before the beginning", "send([3, 1, 0, b'', -1.0])"),
    _forged("fail in a way there is none", "send([4, 1, 'Whim', 'E', 'm'])"),
    _forged("fail with a message that is too long", "send([4, 1, 'Raised', 'E', 'x' * 5000])"),
    _forged("give back what nobody asked for", "send([5, 1, 0])"),
    _forged("give back its own call", "send([5, self.number(), 0])"),
    _forged("report more bytes than there are", "send([5, 1, 1 << 62])"),
    _forged(
        "answer with a segment that it was not given",
        "send([3, self.number(), 0, b'', 0.0, True, 70_000])",
    ),
    _forged("ask for a segment over its limit", "send([6, self.number(), 1 << 30])"),
    _forged("ask for a segment for no call", "send([6, 999_999, 70_000])"),
    _forged(
        "ask for segment after segment",
        "for _ in range(2): send([6, self.number(), 70_000])",
    ),
    _forged(
        "answer with less than its segment",
        "send([6, self.number(), 70_000], [3, self.number(), 0, b'', 0.0, True, 60_000])",
    ),
    _forged("publish in a call that nobody made", "send([8, 999_999, 'prices', 70_000])"),
    _forged("fill what it has not published", "send([9, self.number()])"),
    _forged("borrow in a call that nobody made", "send([10, 999_999, 'victim', 'prices'])"),
    _forged("say that it was loaded, again", "send([1, [], 0.0, 0.0])"),
    _forged("say that it could not be loaded, though it was", "send([2, 'ImportFailed', 'no'])"),
    _forged("log for a call that nobody made", "send([7, 'info', 'x', 999_999])"),
    _forged("log at a level there is none", "send([7, 'fatal', 'x'])"),
    _forged("log what is no text", "send(b'\\x94\\x07\\xa4info\\xa2\\xff\\xfe\\x00')"),
    _forged("close its socket and go on", "os.close(3)"),
    Attack(
        "answer the calls of other contexts before they ran",
        GROUP,
        FRAME,
        drive=belief.answer_others_calls,
        control=None,
    ),
    Attack(
        "say while it is imported that it was loaded",
        GROUP,
        FRAME,
        drive=loading.forge_while_imported,
        control=None,
    ),
    Attack(
        "have its answer taken for another plugin's",
        GROUP,
        FRAME,
        drive=belief.honest_frame_is_taken_for_its_own_call,
        # The one forged frame that is taken: it answers the call that is open, as it may.
        control="got = True",
    ),
    Attack(
        "send the host a header in an error's name",
        GROUP,
        FRAME,
        drive=belief.header_in_an_error,
        control=None,
    ),
    Attack(
        "write lines into the host's log that look like its own",
        GROUP,
        FRAME,
        drive=belief.forge_log_lines,
        control=None,
    ),
)
