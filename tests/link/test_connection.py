"""A link against a server whose faults are scripted: real sockets, nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import subprocess
import uuid
from pathlib import Path

import pytest

from server import protocol as wire
from tests.fakes.wire_server import WireServer, free_port
from tests.link.conftest import FAST, Start
from tui_agent.link.base import OutboxFull
from tui_agent.link.connection import Times, connect_unix


def message(text: str = "hello") -> wire.Message:
    return wire.Message(str(uuid.uuid4()), text)


async def test_it_joins_and_shows_the_snapshot(server: WireServer, start: Start) -> None:
    await server.say("before")
    async with server.listen() as url, start(url) as watched:
        await watched.wait(lambda: watched.of(wire.Snapshot))
        assert [type(event) for event in watched.events] == [wire.Welcome, wire.Snapshot]
        assert server.hellos[0].resume is None
        assert server.headers[0]["Sec-WebSocket-Protocol"] == wire.SUBPROTOCOL
        assert "Sec-WebSocket-Extensions" not in server.headers[0]


async def test_it_measures_the_latency(server: WireServer, start: Start) -> None:
    async with server.listen() as url, start(url) as watched:
        await watched.wait(lambda: watched.link.status.latency_ms is not None)
        assert 0 < (watched.link.status.latency_ms or 0) < 1000


async def test_it_speaks_over_a_unix_socket(server: WireServer, start: Start, tmp_path: Path) -> None:
    async with server.listen(path=tmp_path / "s.sock") as url, start(url) as watched:
        await watched.wait_live()
        assert server.connected == 1


async def test_a_message_is_pending_until_its_ack(server: WireServer, start: Start) -> None:
    async with server.listen() as url, start(url) as watched:
        await watched.wait_live()
        watched.link.send(command := message())
        assert [pending.cid for pending in watched.link.pending] == [command.cid]
        await watched.wait(lambda: watched.of(wire.Ack))
        assert not watched.link.pending


async def test_messages_go_one_at_a_time_in_order(server: WireServer, start: Start) -> None:
    async with server.listen() as url, start(url) as watched:
        for number in range(20):
            watched.link.send(message(str(number)))
        await watched.wait(lambda: len(watched.of(wire.Ack)) == 20)
        assert [event.content for event in server.events] == [str(number) for number in range(20)]


async def test_a_swallowed_ack_does_not_send_twice(server: WireServer, start: Start) -> None:
    server.swallow_acks = 2
    async with server.listen() as url, start(url) as watched:
        await watched.wait_live()
        watched.link.send(command := message())
        await watched.wait(lambda: server.connected >= 2 and not watched.link.pending)
        assert [event.cid for event in server.events] == [command.cid]
        assert len(watched.of(wire.UserMessage)) == 1


async def test_the_gap_of_a_cut_answer_is_closed_without_a_lost_or_doubled_word(
    server: WireServer, start: Start
) -> None:
    async with server.listen() as url, start(url) as watched:
        await watched.wait_live()
        await server.begin("r1")
        await server.token("naïve 👩‍🚀 ")
        await watched.wait(lambda: watched.text)
        server.cut()
        server.open_run, server.text = "r1", server.text + "while away "
        await watched.wait(lambda: server.connected == 2 and "away" in watched.text)
        await server.token("and on")
        await server.end(server.done("r1", server.text))
        await watched.wait(lambda: watched.of(wire.Done))
        assert watched.text == "naïve 👩‍🚀 while away and on"
        assert server.hellos[1].resume == wire.Resume("e1", 0, "r1", len("naïve 👩‍🚀 "))


async def test_many_cuts_lose_and_double_nothing(server: WireServer, start: Start) -> None:
    """Cut after each number of frames in turn while a room talks; everything arrives once, in order."""
    async with server.listen() as url, start(url) as watched:
        await watched.wait(lambda: watched.of(wire.Snapshot))
        for cut in range(30):
            watched.link.send(message(f"m{cut}"))
            await server.say(f"s{cut}")
            await server.begin(f"r-{cut}")
            for piece in ("one ", "two ", "three"):
                await server.token(piece)
                if cut % 3 == len(piece) % 3:
                    server.cut()
            await server.end(server.done(f"r-{cut}", server.text))

            def is_whole(cut: int = cut) -> bool:
                if watched.link.status.phase == "offline":
                    watched.link.reconnect_now()
                return len(watched.of(wire.Done)) == cut + 1 and not watched.link.pending

            await watched.wait(is_whole, 10)
        durable = [event.id for event in watched.events if isinstance(event, wire.UserMessage | wire.Done)]
        assert durable == list(range(1, len(server.events) + 1))
        assert sorted(event.content for event in server.events if isinstance(event, wire.UserMessage)) == sorted(
            [f"m{n}" for n in range(30)] + [f"s{n}" for n in range(30)]
        )


async def test_a_gap_in_the_ids_reconnects_and_fetches_what_is_missing(server: WireServer, start: Start) -> None:
    async with server.listen() as url, start(url) as watched:
        await watched.wait(lambda: watched.of(wire.Snapshot))
        server.events.append(wire.UserMessage(1, "2026-11-24T12:00:00Z", "ben", "c", "unseen", "r"))
        await server.say("seen")
        await watched.wait(lambda: len(watched.of(wire.UserMessage)) == 2)
        assert [event.content for event in watched.of(wire.UserMessage)] == ["unseen", "seen"]
        assert server.connected == 2


async def test_lost_history_is_a_snapshot_not_silence(server: WireServer, start: Start) -> None:
    async with server.listen() as url, start(url) as watched:
        await watched.wait(lambda: watched.of(wire.Snapshot))
        server.epoch, server.events = "e2", []
        server.cut()
        await watched.wait(lambda: len(watched.of(wire.Snapshot)) == 2)
        assert watched.of(wire.Welcome)[1].recovered is False
        await server.say("new")
        await watched.wait(lambda: watched.of(wire.UserMessage))


async def test_a_half_open_connection_is_noticed_and_left(server: WireServer, start: Start) -> None:
    async with server.listen() as url, start(url) as watched:
        await watched.wait_live()
        server.freeze()
        await watched.wait(lambda: any("no longer answers" in status.sentence for status in watched.statuses))
        await watched.wait(lambda: server.connected == 2 and watched.link.status.phase == "live")


async def test_sleep_is_noticed_by_the_clocks_and_reconnects_at_once(server: WireServer, start: Start) -> None:
    slept_s = 0.0
    loop = asyncio.get_running_loop()

    def wall_s() -> float:
        return loop.time() + slept_s

    async with server.listen() as url, start(url, wall_s=wall_s, monotonic_s=loop.time) as watched:
        await watched.wait_live()
        slept_s = 31.0
        await watched.wait(lambda: server.connected == 2 and watched.link.status.phase == "live")
        assert "waiting" not in [status.phase for status in watched.statuses]


async def test_it_gives_up_after_five_attempts_and_f5_tries_again(server: WireServer, start: Start) -> None:
    port = free_port()
    async with start(f"ws://127.0.0.1:{port}", times=Times(backoff_scale=0.001)) as watched:
        await watched.wait(lambda: watched.link.status.phase == "offline")
        assert [status.attempt for status in watched.statuses if status.phase == "waiting"] == [1, 2, 3, 4, 5]
        assert "No server answers" in watched.link.status.sentence
        assert not watched.link.status.is_final
        async with server.listen(port=port):
            watched.link.reconnect_now()
            await watched.wait_live()


async def test_a_server_that_accepts_and_closes_is_not_hammered(server: WireServer, start: Start) -> None:
    server.close_at_once = 1011
    async with server.listen() as url, start(url, times=Times(backoff_scale=0.001)) as watched:
        await watched.wait(lambda: watched.link.status.phase == "offline")
        assert server.connected == 6


@pytest.mark.parametrize("code", sorted(wire.Close.FINAL))
async def test_final_close_codes_end_the_tries(server: WireServer, start: Start, code: int) -> None:
    async with server.listen() as url, start(url) as watched:
        await watched.wait_live()
        await server.close_all(code)
        await watched.wait(lambda: watched.link.status.phase == "offline")
        assert watched.link.status.is_final
        assert watched.link.status.sentence.endswith(".")
        watched.link.reconnect_now()
        assert watched.link.status.phase == "offline"


@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013, 4408])
async def test_other_close_codes_are_tried_again(server: WireServer, start: Start, code: int) -> None:
    async with server.listen() as url, start(url) as watched:
        await watched.wait_live()
        await server.close_all(code)
        await watched.wait(lambda: server.connected == 2 and watched.link.status.phase == "live")


@pytest.mark.parametrize(
    ("status", "words", "is_final"),
    [
        (401, "does not accept the token", True),
        (403, "does not let you", True),
        (400, "room name", True),
        (404, "not a tui-agent server", False),
        (200, "not a tui-agent server", False),
        (500, "not a tui-agent server", False),
    ],
)
async def test_a_refused_upgrade_is_a_sentence(
    server: WireServer, start: Start, status: int, words: str, is_final: bool
) -> None:
    server.refuse = lambda request: (status, {})
    async with server.listen() as url, start(url) as watched:
        await watched.wait(lambda: watched.link.status.phase == "offline")
        assert words in watched.link.status.sentence
        assert watched.link.status.is_final is is_final
        assert len(server.headers) == 1
        assert watched.link.status.sentence.isprintable()


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured(server: WireServer, start: Start, status: int) -> None:
    server.refuse = lambda request: (status, {"Retry-After": "7"})
    async with server.listen() as url, start(url, times=Times(backoff_scale=0.001), random=lambda: 0.5) as watched:
        await watched.wait(lambda: watched.link.status.phase == "waiting")
        assert watched.link.status.retry_in_s == pytest.approx((7 + 0.5) * 0.001)


async def test_another_version_is_said(server: WireServer, start: Start) -> None:
    server.subprotocols = None
    async with server.listen() as url, start(url) as watched:
        await watched.wait(lambda: watched.link.status.phase == "offline")
        assert "another version" in watched.link.status.sentence
        assert watched.link.status.is_final


@pytest.mark.parametrize("frame", ["no json", b"\x00", '{"type":"ack","ref":"x"}', '{"type":"later"}'])
async def test_something_else_in_place_of_a_welcome_is_said(
    server: WireServer, start: Start, frame: str | bytes
) -> None:
    server.first_frame = frame
    async with server.listen() as url, start(url, times=Times(backoff_scale=0.001)) as watched:
        await watched.wait(lambda: watched.link.status.phase == "offline")
        assert watched.link.status.sentence


async def test_a_server_without_a_welcome_is_left(server: WireServer, start: Start) -> None:
    server.stay_silent = True
    times = Times(backoff_scale=0.001, welcome_timeout_s=0.05, close_timeout_s=0.1)
    async with server.listen() as url, start(url, times=times) as watched:
        await watched.wait(lambda: watched.link.status.phase == "offline")
        assert "welcome" in watched.link.status.sentence


async def test_a_name_that_does_not_resolve_is_said(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*args: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    async with start("ws://no-such-host.invalid", times=Times(backoff_scale=0.001)) as watched:
        await watched.wait(lambda: watched.link.status.phase == "offline")
        assert "no-such-host.invalid does not resolve" in watched.link.status.sentence


async def test_something_that_speaks_no_http_is_said(start: Start) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9\r\n\r\n")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with listener, start(f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}") as watched:
        await watched.wait(lambda: watched.link.status.phase == "offline")
        assert "not a tui-agent server" in watched.link.status.sentence


async def test_wss_to_a_plain_server_is_said(server: WireServer, start: Start) -> None:
    async with server.listen() as url, start(url.replace("ws://", "wss://")) as watched:
        await watched.wait(lambda: watched.link.status.phase == "offline")
        assert "TLS" in watched.link.status.sentence


async def test_a_certificate_that_nobody_vouches_for_is_said(server: WireServer, start: Start, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    async with server.listen(ssl=context) as url, start(url) as watched:
        await watched.wait(lambda: watched.link.status.phase == "offline")
        assert "certificate of 127.0.0.1 is not trusted" in watched.link.status.sentence
        assert server.connected == 0


async def test_the_token_is_sent_and_never_logged(
    server: WireServer, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with server.listen() as url, start(url, token="sesame.sesame") as watched:
        await watched.wait_live()
        assert server.headers[0]["Authorization"] == "Bearer sesame.sesame"
    of_client = [record.getMessage() for record in caplog.records if not record.name.startswith("websockets.server")]
    assert not [line for line in of_client if "sesame" in line]


async def test_a_rate_limited_message_goes_again_by_itself(server: WireServer, start: Start) -> None:
    server.refusals = [wire.Error("rate_limited", "Slow down.", retryable=True, retry_after=0.05)]
    async with server.listen() as url, start(url) as watched:
        watched.link.send(message())
        await watched.wait(lambda: watched.of(wire.Ack))
        assert len(server.commands) == 2
        assert not watched.of(wire.Error)


@pytest.mark.parametrize("code", ["busy", "too_large", "storage_full", "bad_request"])
async def test_other_refusals_are_told_and_leave_the_outbox(server: WireServer, start: Start, code: str) -> None:
    server.refusals = [wire.Error(code, "No.", retryable=False)]
    async with server.listen() as url, start(url) as watched:
        watched.link.send(command := message())
        watched.link.send(message("next"))
        await watched.wait(lambda: watched.of(wire.Ack))
        assert [error.ref for error in watched.of(wire.Error)] == [command.cid]
        assert not watched.link.pending


async def test_an_early_interrupt_waits_for_the_run(server: WireServer, start: Start) -> None:
    async with server.listen() as url, start(url) as watched:
        watched.link.send(message())
        watched.link.interrupt(None)
        await watched.wait(lambda: len(watched.of(wire.Ack)) == 2)
        interrupts = [command for command in server.commands if isinstance(command, wire.Interrupt)]
        assert [interrupt.run for interrupt in interrupts] == ["r1"]


async def test_an_interrupt_is_sent_again_only_while_its_run_is_open(server: WireServer, start: Start) -> None:
    async with server.listen() as url, start(url) as watched:
        await watched.wait_live()
        await server.begin("r1")
        await server.token("x")
        await watched.wait(lambda: watched.text)
        server.cut()
        await watched.wait(lambda: watched.link.status.phase != "live")
        watched.link.interrupt("r1")
        watched.link.interrupt("r1")
        watched.link.interrupt("r0")
        await watched.wait(lambda: watched.of(wire.Interrupted))
        assert [command.run for command in server.commands if isinstance(command, wire.Interrupt)] == ["r1"]


async def test_history_is_asked_and_answered(server: WireServer, start: Start) -> None:
    for number in range(3):
        await server.say(str(number))
    async with server.listen() as url, start(url) as watched:
        await watched.wait_live()
        watched.link.send(wire.History("h1", 3, 10))
        await watched.wait(lambda: watched.of(wire.Page))
        assert [event.id for event in watched.of(wire.Page)[0].events] == [1, 2]


async def test_a_message_that_cannot_be_a_frame_is_refused_before_sending(server: WireServer, start: Start) -> None:
    async with server.listen() as url, start(url) as watched:
        with pytest.raises(OutboxFull, match="60,000"):
            watched.link.send(message("x" * 60_001))
        with pytest.raises(OutboxFull, match="frame"):
            watched.link.send(message("\n" * 59_000))
        watched.link.send(message("half \ud800 pair"))
        await watched.wait(lambda: watched.of(wire.Ack))
        assert [event.content for event in server.events] == ["half \ufffd pair"]


async def test_a_slow_reader_stops_the_socket_not_the_memory(server: WireServer, start: Start, tmp_path: Path) -> None:
    from tui_agent.link.address import parse_address
    from tui_agent.link.connection import RoomLink
    from tui_agent.link.mailbox import MOST_EVENTS

    async with server.listen() as url:
        link = RoomLink(parse_address(url), "main", "ada", client="t", state_folder=tmp_path, times=FAST)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(link.run())
            await server.wait(lambda: bool(server.connections))
            for number in range(MOST_EVENTS * 2):
                await server.say(str(number))
            for _ in range(5):
                link.send(message())
            assert len(link._mailbox) <= MOST_EVENTS + 1
            async with asyncio.timeout(3):
                await link.close()
                await running


async def test_close_says_goodbye(server: WireServer, start: Start) -> None:
    async with server.listen() as url, start(url) as watched:
        await watched.wait_live()
        connection = next(iter(server.connections))
        await watched.link.close()
        await connection.wait_closed()
        assert connection.close_code == 1000
        assert watched.link.status.phase == "closed"


async def test_a_full_queue_at_a_unix_socket_is_waited_out(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen(0)
        first = await connect_unix(path, 1)
        waiting = asyncio.create_task(connect_unix(path, 5))
        await asyncio.sleep(0.1)
        assert not waiting.done(), "the queue is full"
        accepted = [listening.accept()[0], await asyncio.to_thread(lambda: listening.accept()[0])]
        second = await waiting
        accepted[1].sendall(b"hello")
        assert await asyncio.get_running_loop().sock_recv(second, 5) == b"hello"
        for sock in (first, second, *accepted):
            sock.close()


async def test_a_queue_that_stays_full_is_a_timeout(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen(0)
        first = await connect_unix(path, 1)
        with pytest.raises(TimeoutError):
            await connect_unix(path, 0.1)
        first.close()


async def test_a_connection_cut_in_the_handshake_is_tried_again(start: Start) -> None:
    """A server that is being replaced resets what waits in its queue: no reason to ask the person."""
    asked = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as listener:
        async with start(f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}") as watched:
            await watched.wait(lambda: watched.statuses and watched.statuses[-1].phase == "waiting")
            assert "closed the connection" in watched.statuses[-1].sentence
            await watched.wait(lambda: asked >= 2)
