"""The door for other pods against who has no key, an old message, or the wrong view."""

from __future__ import annotations

import http.client
import time
from pathlib import Path

from pluginsandbox.host.peers import messages
from pluginsandbox.host.peers.answers import Differs, Later, Lookup, There, Unbound, Yours
from pluginsandbox.host.peers.members import Entry, Member, Members, Standing
from pluginsandbox.host.peers.messages import Hello, Released, Table, Welcome
from pluginsandbox.host.peers.seal import ANY_INCARNATION, Sealer
from tests.integration.group_bed import KEY, NEW_KEY, Pod, sandbox

UNKNOWN = "10.255.255.255"


class Stranger:
    """Speaks to a pod's door for the others, with a key or without."""

    def __init__(self, pod: Pod, port: int, key: bytes, offset: float = 0.0) -> None:
        self.pod = pod
        self.port = port
        self.key = key
        self.me = Member(pod.address.rpartition(".")[0] + ".250", 1)
        self.sealer = Sealer(lambda: time.time() + offset)

    def sealed(self, kind: str, body: bytes, to: Member, view: str = "") -> str:
        path = messages.PATH + kind
        return self.sealer.headers(self.key, path, self.me, to, view, body)[1]

    def send(self, kind: str, body: bytes, headers: str) -> tuple[int, bytes]:
        wire = http.client.HTTPConnection(self.pod.address, self.port, timeout=30)
        pairs = [line.split(": ") for line in headers.split("\r\n") if line]
        wire.request("POST", messages.PATH + kind, body, dict(pairs))
        answer = wire.getresponse()
        data = answer.read()
        wire.close()
        return answer.status, data

    def hello(self) -> tuple[int, bytes]:
        body = messages.encode(Hello(Table(Members()).written))
        to = Member(self.pod.address, ANY_INCARNATION)
        return self.send(messages.HELLO, body, self.sealed(messages.HELLO, body, to))

    def table(self) -> dict[str, Entry]:
        status, data = self.hello()
        assert status == 200
        told = Table(Members()).read(messages.decode(data, Welcome).table)
        return {
            address: Entry(one, Standing(standing)) for address, (one, standing) in told.items()
        }


def test_who_has_no_key_learns_nothing_whatever_it_asks(tmp_path: Path) -> None:
    with sandbox(tmp_path) as group:
        pod = group.start()
        to = Member(pod.address, Stranger(pod, group.port, KEY).table()[pod.address].incarnation)
        stranger = Stranger(pod, group.port, NEW_KEY)
        answers = {stranger.hello()}
        for kind in (messages.LOOKUP, messages.TAKE, messages.CALL, "no-such-kind"):
            answers.add(stranger.send(kind, b"\x00", stranger.sealed(kind, b"\x00", to)))
            answers.add(stranger.send(kind, b"\x00", ""))
        # An answer that differs would tell one guess from another.
        assert {status for status, _ in answers} == {401}
        assert len(answers) == 1
        assert pod.host.ask("/contexts").json["total"] == 0


def test_a_message_is_taken_once_and_not_when_it_is_old(tmp_path: Path) -> None:
    with sandbox(tmp_path) as group:
        pod = group.start()
        friend = Stranger(pod, group.port, KEY)
        to = Member(pod.address, friend.table()[pod.address].incarnation)
        body = messages.encode(Released(b"k" * 16, 0))
        headers = friend.sealed(messages.RELEASED, body, to)
        assert friend.send(messages.RELEASED, body, headers)[0] == 200
        assert friend.send(messages.RELEASED, body, headers)[0] == 401
        other_body = messages.encode(Released(b"k" * 16, 1))
        swapped = friend.sealed(messages.RELEASED, body, to)
        assert friend.send(messages.RELEASED, other_body, swapped)[0] == 401
        for offset in (-60.0, 60.0):
            late = Stranger(pod, group.port, KEY, offset)
            assert late.hello()[0] == 401
        earlier = Member(pod.address, to.incarnation - 1)
        assert friend.send(
            messages.RELEASED, body, friend.sealed(messages.RELEASED, body, earlier)
        ) == friend.send(messages.RELEASED, body, "")


def test_a_member_with_another_view_is_told_so_and_gets_no_grant(tmp_path: Path) -> None:
    with sandbox(tmp_path) as group:
        pod = group.start()
        friend = Stranger(pod, group.port, KEY)
        to = Member(pod.address, friend.table()[pod.address].incarnation)
        lookup = messages.encode(Lookup("another view", 1, b"k" * 16, binds=True))
        status, data = friend.send(
            messages.LOOKUP, lookup, friend.sealed(messages.LOOKUP, lookup, to)
        )
        assert status == 421
        answer: There | Yours | Unbound | Later | Differs = messages.ANSWER.decode(data)
        assert isinstance(answer, Differs)


def test_members_that_are_only_heard_of_are_given_up_when_they_refuse(tmp_path: Path) -> None:
    with sandbox(tmp_path, queue_timeout_milliseconds=1500) as group:
        pod = group.start()
        assert pod.host.call("add", {}, "bound").json == 1
        friend = Stranger(pod, group.port, KEY)
        members = Members()
        members.learn((f"{group.network}.{one}", (1, Standing.SERVING)) for one in (201, 202))
        body = messages.encode(Hello(Table(members).written))
        to = Member(pod.address, ANY_INCARNATION)
        # Two members that DNS names, and of which nobody knows whether they live.
        group.name(pod.address, UNKNOWN)
        status, _ = friend.send(messages.HELLO, body, friend.sealed(messages.HELLO, body, to))
        assert status == 200
        answers = [pod.host.call("add", {}, f"c{number}") for number in range(6)]
        assert pod.host.call("add", {}, "bound").json == 2
        # Their connections are refused, so that they are given up and every call is served.
        assert [answer.status for answer in answers] == [200] * 6
        pod.host.until(lambda: pod.host.metric("peers") == 1)


def test_the_key_is_replaced_while_calls_go_on(tmp_path: Path) -> None:
    with sandbox(tmp_path) as group:
        own = [tmp_path / "keys0", tmp_path / "keys1"]
        pods = []
        for folder in own:
            folder.mkdir()
            (folder / "key").write_bytes(KEY)
            group.keys_of_next = folder
            pods.append(group.start())
        group.agree()
        pods[0].host.call("add", {}, "a")

        def served() -> bool:
            answer = pods[1].host.call("add", {}, "a")
            return answer.status == 200 and "forward" in answer.headers["server-timing"]

        def read(pod: Pod, times: int) -> bool:
            return len(pod.host.said("keys of the peers read")) == times

        # One pod has the new key before the other has heard of it.
        (own[0] / "previous").write_bytes(KEY)
        (own[0] / "key").write_bytes(NEW_KEY)
        pods[0].host.until(lambda: read(pods[0], 2) or read(pods[0], 3))
        assert all(served() for _ in range(20))
        (own[1] / "previous").write_bytes(KEY)
        (own[1] / "key").write_bytes(NEW_KEY)
        pods[1].host.until(lambda: read(pods[1], 2) or read(pods[1], 3))
        assert all(served() for _ in range(20))
        for folder in own:
            (folder / "previous").unlink()
        third = group.start()
        group.agree()
        assert third.host.call("add", {}, "a").status == 200
        assert Stranger(third, group.port, KEY).hello()[0] == 401
