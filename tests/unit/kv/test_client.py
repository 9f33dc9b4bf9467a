"""The client: with the model behind a socket, and with wrong replies."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from nearmetal.errors import NearmetalError
from nearmetal.kv import client as client_module
from nearmetal.kv.client import BadReplyError, Client, ClientError, NoAnswerError
from nearmetal.kv.model import Model
from nearmetal.machine.links.frames import UDP_BYTES_MAX

Answer = Callable[[bytes], list[bytes]]


class Server:
    """Answers each datagram with a function, until an empty one closes it."""

    def __init__(self, answer: Answer) -> None:
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        self.port: int = self._udp.getsockname()[1]
        self.asked: list[bytes] = []
        self._answer = answer
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        """Close the server after it has received all earlier requests."""
        if not self._thread.is_alive():
            return
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._udp.close()

    def _run(self) -> None:
        while True:
            request, peer = self._udp.recvfrom(65_536)
            if not request:
                return
            self.asked.append(request)
            for datagram in self._answer(request):
                self._udp.sendto(datagram, peer)


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Server]]:
    servers: list[Server] = []

    def start(answer: Answer) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def client(serve: Callable[[Answer], Server]) -> Iterator[Client]:
    model = Model(now_s=1_800_000_000)
    server = serve(lambda request: model.handle(request, 1_800_000_000).datagrams)
    with Client("127.0.0.1", server.port, timeout_s=5) as made:
        yield made


def test_store_and_get(client: Client) -> None:
    assert client.get("a") is None
    client.set("a", b"x\r\nEND\r\n", flags=7)
    assert client.get("a") == b"x\r\nEND\r\n"
    assert not client.add("a", b"y")
    assert client.add("b", b"y")
    assert client.replace("b", b"z")
    assert client.append("b", b"2")
    assert client.prepend(b"b", b"1")
    assert not client.append("nope", b"2")
    assert client.get_many(["a", "nope", "b"]) == {b"a": b"x\r\nEND\r\n", b"b": b"1z2"}


def test_cas(client: Client) -> None:
    client.set("a", b"x", flags=7)
    value = client.gets(["a"])[b"a"]
    assert (value.data, value.flags) == (b"x", 7)
    assert client.cas("a", b"y", value.cas)
    assert not client.cas("a", b"z", value.cas)
    assert not client.cas("nope", b"z", value.cas)
    assert client.get("a") == b"y"


def test_numbers_and_the_rest(client: Client) -> None:
    client.set("n", b"5")
    assert (client.incr("n"), client.decr("n", 10), client.incr("nope")) == (6, 0, None)
    assert client.touch("n", 10)
    assert client.delete("n")
    assert not client.delete("n")
    assert not client.touch("n", 10)
    client.set("a", b"x")
    client.flush_all()
    assert client.get("a") is None
    assert client.version().startswith("nearmetal")
    assert client.stats()["get_misses"] == "1"


def test_several_datagrams(client: Client) -> None:
    client.set("a", bytes(range(256)) * 200)
    assert client.get("a") == bytes(range(256)) * 200


def test_many_keys_take_as_many_requests_as_they_need(serve: Callable[[Answer], Server]) -> None:
    """Values for more than a reply (89,088 bytes), keys for more than a frame (1,472 bytes)."""
    model = Model(now_s=1_800_000_000)
    server = serve(lambda request: model.handle(request, 1_800_000_000).datagrams)
    stored = {b"%03d" % number + b"k" * 100: b"%d" % number * 400 for number in range(200)}
    with Client("127.0.0.1", server.port, timeout_s=5) as client:
        for key, data in stored.items():
            client.set(key, data)
        large = {b"large%d" % number: bytes([number]) * 60_000 for number in range(8)}
        for key, data in large.items():
            client.set(key, data)
        server.asked.clear()
        assert client.get_many([*stored, b"nope", *large]) == stored | large
        assert client.get_many([]) == {}
    server.close()
    assert all(len(request) <= 1472 for request in server.asked)


def test_a_frame_holds_what_frames_hold() -> None:
    assert client_module.FRAME_UDP_BYTES_MAX == UDP_BYTES_MAX


def test_of_no_keys_nothing_is_asked(serve: Callable[[Answer], Server]) -> None:
    server = serve(lambda _: [])
    with Client("127.0.0.1", server.port) as client:
        assert client.get_many([]) == {}
    server.close()
    assert server.asked == []


def test_one_value_that_is_too_large_for_a_stranger(serve: Callable[[Answer], Server]) -> None:
    server = serve(lambda request: [request[:2] + b"\0\0\0\1\0\0SERVER_ERROR reply too large\r\n"])
    with (
        Client("127.0.0.1", server.port) as client,
        pytest.raises(ClientError, match=r"reply too large: .*3 times its request; .*--trusted"),
    ):
        client.get_many(["a", "b"])


def test_a_request_that_is_longer_than_a_frame_is_named(
    serve: Callable[[Answer], Server],
) -> None:
    server = serve(lambda _: [])
    with Client("127.0.0.1", server.port, timeout_s=0.05) as client:
        with pytest.raises(NoAnswerError, match=r"60,0\d\d bytes, .*ukp-.* at most 1,472 .*store"):
            client.set("a", b"x" * 60_000)
        with pytest.raises(NoAnswerError) as caught:
            client.set("a", b"x")
        assert "1,472" not in str(caught.value)
        with pytest.raises(NearmetalError, match=r"a datagram holds at most 65,507; store less"):
            client.set("a", b"x" * 70_000)


def test_refusals_in_the_servers_words(client: Client) -> None:
    client.set("a", b"x")
    with pytest.raises(ClientError, match="non-numeric value"):
        client.incr("a")
    with pytest.raises(ClientError, match="invalid numeric delta"):
        client.incr("a", -1)


@pytest.mark.parametrize("key", ["", "k" * 251, "a b", "a\r\nflush_all", b"a\0"])
def test_keys_that_are_no_keys(client: Client, key: str | bytes) -> None:
    with pytest.raises(ClientError, match="a key "):
        client.get(key)


def test_datagrams_out_of_order_and_late_ones(serve: Callable[[Answer], Server]) -> None:
    def answer(request: bytes) -> list[bytes]:
        late = struct.pack(">H", struct.unpack(">H", request[:2])[0] ^ 1) + b"\0\0\0\1\0\0END\r\n"
        second = request[:2] + b"\0\1\0\2\0\0x\r\nEND\r\n"
        return [late, second, second, request[:2] + b"\0\0\0\2\0\0VALUE a 0 1 1\r\n"]

    with Client("127.0.0.1", serve(answer).port, timeout_s=5) as client:
        assert client.get("a") == b"x"


@pytest.mark.parametrize(
    "reply",
    [b"\0\0\0\0\0\0END\r\n", b"\0\1\0\1\0\0END\r\n", b"\0\0\xff\xff\0\0END\r\n", b"\0\0\0\1\0\0"],
)
def test_frames_that_make_no_sense(reply: bytes, serve: Callable[[Answer], Server]) -> None:
    server = serve(lambda request: [request[:2] + reply])
    with Client("127.0.0.1", server.port, timeout_s=5) as client, pytest.raises(BadReplyError):
        client.get("a")


def test_an_answer_to_something_else(serve: Callable[[Answer], Server]) -> None:
    server = serve(lambda request: [request[:2] + b"\0\0\0\1\0\0HELLO\r\n"])
    with Client("127.0.0.1", server.port, timeout_s=5) as client:
        for ask in (client.version, client.stats, lambda: client.get("a"), client.flush_all):
            with pytest.raises(BadReplyError, match="HELLO"):
                ask()


def test_silence(serve: Callable[[Answer], Server]) -> None:
    """A request without effect is sent three times, a SET once: it may have been executed."""
    server = serve(lambda request: [])
    with Client("127.0.0.1", server.port, timeout_s=0.01) as client:
        with pytest.raises(NoAnswerError):
            client.get("a")
        with pytest.raises(NoAnswerError):
            client.set("a", b"x")
    server.close()
    assert [request[8:11] for request in server.asked] == [b"get", b"get", b"get", b"set"]


def test_no_server_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        Client("127.0.0.1", port) as client,
        pytest.raises(NoAnswerError, match="no program listens"),
    ):
        client.get("a")


def test_it_has_a_public_name() -> None:
    """README uses this name."""
    from nearmetal import client as public

    assert public.Client is Client
