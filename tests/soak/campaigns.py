"""What `make soak` runs: each campaign with its long sizes, the promise it tries and what passing means.

A campaign is a function (folder, seed, **sizes) -> figures, sync or async, that raises AssertionError when a promise
falls. The short forms of the same functions run in `make test`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.attacks import crowds, fuzz, screens
from tests.faults import clients, crashes, cuts, disks, mutants, whole
from tests.tasks import kills


@dataclass(frozen=True)
class Campaign:
    """`sizes` are the arguments of the long run; `passes` is said in docs/reliability.md."""

    name: str
    what: str
    passes: str
    run: Callable[..., Any]
    sizes: dict[str, int]


CAMPAIGNS = [
    Campaign(
        "crashes",
        "SIGKILL of the server before, in and after append, fsync, ack and fan-out, and at random, "
        "while three people talk (two on our link, one on a client of another make) and resend",
        "0 lost, 0 doubled, one order, partials labelled, nothing asked twice",
        crashes.crash_points,
        {"kills": 207},
    ),
    Campaign(
        "tasks",
        "SIGKILL of the server in the middle of background tasks: once money is held for a step, before and after it "
        "is recorded, between the records and the room (both ways), in an append, at random, and while they go on",
        "every kill cuts a task at work; 0 lost and 0 doubled steps, one end each, no percent falls, no finished step "
        "is billed again, one that died is billed at most once",
        kills.killed_tasks,
        {"kills": 50},
    ),
    Campaign(
        "clients",
        "SIGKILL of a client's process, and the end of its link only, in mid-sentence",
        "what was shown as sent arrives, once",
        clients.killed_clients,
        {"kills": 200},
    ),
    Campaign(
        "cuts",
        "the connection reset after every byte offset of a scripted talk, both ways",
        "0 duplicates, 0 gaps, both messages and their answers whole",
        cuts.cut_everywhere,
        {"step": 1},
    ),
    Campaign(
        "lost-acks",
        "the ack of each message lost with all that follows it, then a reset",
        "sent again each time, once in the log",
        cuts.swallowed_acks,
        {"acks": 1000},
    ),
    Campaign(
        "machine",
        "a hypothesis state machine over the real rooms: talk, held and refused writes, joins, cuts, clears, "
        "interrupts, crashes, restored copies, a ring of three events, full write buffers",
        "every client sees what the disk has, in order, without a gap; calm always comes",
        mutants.any_order,
        {"examples": 10_000, "processes": 2},
    ),
    Campaign(
        "mutants",
        "the server broken on purpose in eight ways (no dedupe, registered late, no window check, epoch ignored, "
        "acknowledged early, offset ignored, a task that ends twice, tasks forgotten by a crash)",
        "the state machine notices each",
        mutants.all_noticed,
        {"examples": 2000},
    ),
    Campaign(
        "power",
        "strace of the whole server while it acknowledges",
        "an fdatasync has returned before every ack",
        disks.power_loss,
        {"acks": 1000},
    ),
    Campaign(
        "fuzz",
        "commands bent by hypothesis and frames that break the protocol, from four attackers that come again",
        "each answered or its sender closed, a guest notices nothing, the server grows by less than 50 MiB",
        fuzz.fuzzed_frames,
        {"frames": 1_000_000},
    ),
    Campaign(
        "slowloris",
        "peers that say nothing, send their request byte by byte, or never say hello",
        "all let go within 14 s, no file left open",
        crowds.slowloris,
        {"peers": 300},
    ),
    Campaign(
        "crowds",
        "1,000 idle connections, readers that stop, a flood of frames, storms of 100 connections, each beside a server "
        "at work (10 rooms of 10, 100 tokens a second in each) and beside one with nothing to do",
        f"the others' p99 is less than {crowds.REACH}x that of calm, beside storms less than {crowds.REACH}x that of "
        "calm or of the same storms at another server (see below); the server grows by less than 50 MiB",
        crowds.crowds,
        {"idle": 1000, "storms": 100, "rounds": 3, "trips": 400, "rooms": 10, "members": 10, "pieces": 300},
    ),
    Campaign(
        "half-open",
        "the wire goes dead without a word, the server is stopped (SIGSTOP), the client's machine sleeps (its clock "
        "jumps), in mid-sentence; with the waits of a real client and server",
        "noticed within 30 s, a dead wire by the server too; whole again after",
        whole.half_open,
        {"rounds": 6},
    ),
    Campaign(
        "restart",
        "the server is replaced under a crowd on the real link",
        "all back, no tenth of a second in which over 15 % of the attempts are due, or arrive",
        whole.rolling_restart,
        {"clients": 300},
    ),
    Campaign(
        "services",
        "a model's service that misbehaves in every way we know, through the whole server",
        "each a plain sentence with the right code, the history well-formed, the next turn whole",
        whole.bad_services,
        {"kinds": 1000},
    ),
    Campaign(
        "payloads",
        "hostile texts through every place that shows foreign words, on the real screen in a real terminal",
        "no escape sequence outside an allow-list, no reordering or hidden character, the terminal given back",
        screens.payloads_on_the_screen,
        {"payloads": 48},
    ),
    Campaign(
        "heavy",
        "texts that cost much to draw (lines of 1 MB, 5,000 items, 2,000 rows, heaps of combining marks …), each "
        "streamed and then whole, paged through and wrapped anew while keys are typed",
        f"the app's loop stalls for at most {screens.STALL_MS} ms, and no text makes it grow by over "
        f"{screens.GROWN_MIB} MiB",
        screens.heavy_texts,
        {"texts": 17},
    ),
]
BY_NAME = {campaign.name: campaign for campaign in CAMPAIGNS}
