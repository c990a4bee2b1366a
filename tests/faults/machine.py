"""A state machine over the real server core: every order of talk, writes, deliveries, cuts, crashes and restores.

The client is the real cursor. What it was shown is compared with the disk after every step, and all must be whole when
calm returns. `mutants.py` breaks the server on purpose to see that this notices.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from server import protocol as wire
from server.errors import AgentTrouble
from server.protocol import decode_durable
from tests.fakes.agents import ScriptedRun
from tests.faults.world import Client, HeldStore, World

RING_EVENTS = 3
WHO = st.integers(0, 2)
SELDOM = st.integers(0, 4).map(lambda number: number == 3)  # what undoes much must leave time for much to happen
SMALL_LIMITS = {
    "server.core.log.RESUME_EVENTS": RING_EVENTS,
    "server.runtime.hub.RESUME_EVENTS": RING_EVENTS,
    "server.runtime.outlet.DROP_TOKENS_BYTES": 400,
    "server.runtime.outlet.CATCH_UP_BYTES": 200,
    "server.runtime.outlet.CLOSE_BYTES": 6000,
}


@contextlib.contextmanager
def small_limits() -> Iterator[None]:
    """A ring of three events and a write buffer of a few frames, so that all their edges are met."""
    with contextlib.ExitStack() as stack:
        for name, value in SMALL_LIMITS.items():
            stack.enter_context(patch(name, value))
        yield


class RoomUnderFaults(RuleBasedStateMachine):
    """Three members, one room."""

    world_type: type[World] = World

    def __init__(self) -> None:
        super().__init__()
        self.limits = small_limits()
        self.limits.__enter__()
        self.world = self.world_type()
        for user in ("ada", "ben", "chen"):
            self.world.connect(self.world.client(user))
        self.world.loop.settle()
        self.number = 0
        self.copies: list[HeldStore] = []
        self.asked_before: list[ScriptedRun] = []

    def teardown(self) -> None:
        try:
            self._calm_down()
        finally:
            self.world.close()
            self.limits.__exit__(None, None, None)

    # ---- people -------------------------------------------------------------------------------------

    @rule(who=WHO, resumes=st.sampled_from([True, True, True, False]), settles=st.booleans())
    def join(self, who: int, resumes: bool, settles: bool) -> None:
        client = self.world.clients[who]
        if client.is_connected:
            self.world.cut(client)
        self.world.connect(client, resumes=resumes)
        if settles:
            self.world.loop.settle()

    @rule(who=WHO)
    def cut(self, who: int) -> None:
        self.world.cut(self.world.clients[who])

    @rule(who=WHO)
    def say_and_all_is_written(self, who: int) -> None:
        self.say(who, True)
        self._write_all()

    @rule(who=WHO, most=st.integers(1, 12))
    def deliver(self, who: int, most: int) -> None:
        client = self.world.clients[who]
        if client.is_connected:
            client.deliver(most)

    @rule(who=WHO, settles=st.booleans())
    def say(self, who: int, settles: bool) -> None:
        client = self.world.clients[who]
        self.number += 1
        client.keep_sending(wire.Message(f"{client.user}-{self.number}", f"word {self.number} " * 4))
        if settles:
            self.world.loop.settle()

    @rule(who=WHO, which=st.integers(0, 100))
    def say_again(self, who: int, which: int) -> None:
        client = self.world.clients[who]
        known = [*client.outbox, *client.acked]
        if known:
            cid = known[which % len(known)]
            client.send(client.sent.get(cid) or wire.Message(cid, "again"))

    @rule(who=WHO)
    def interrupt(self, who: int) -> None:
        client = self.world.clients[who]
        if client.cursor.run is not None:
            self.number += 1
            client.send(wire.Interrupt(f"i-{self.number}", client.cursor.run))

    @rule(who=WHO)
    def clear(self, who: int) -> None:
        self.number += 1
        self.world.clients[who].send(wire.Clear(f"x-{self.number}"))

    # ---- tasks --------------------------------------------------------------------------------------

    @rule(who=WHO, is_written=st.booleans())
    def submit_task(self, who: int, is_written: bool) -> None:
        client = self.world.clients[who]
        if (
            sum(isinstance(command, wire.SubmitTask) for each in self.world.clients for command in each.sent.values())
            < 8
        ):
            self.number += 1
            client.keep_sending(wire.SubmitTask(f"{client.user}-{self.number}", f"work {self.number}"))
        self.world.loop.settle()
        if is_written:
            self._write_all()

    @rule(who=WHO, which=st.integers(1, 4), is_written=st.booleans())
    def cancel_task(self, who: int, which: int, is_written: bool) -> None:
        self.number += 1
        self.world.clients[who].send(wire.CancelTask(f"c-{self.number}", f"t{which}"))
        self.world.loop.settle()
        if is_written:
            self._write_all()

    @rule(steps=st.integers(1, 3), is_written=st.booleans(), delivers=st.booleans())
    def tasks_go_on(self, steps: int, is_written: bool, delivers: bool) -> None:
        """A step or more of each task that runs; with all three it ends."""
        for _ in range(steps):
            self.world.worker.let(1)
            self.world.loop.settle()
            if is_written:
                self.world.pass_time(0.3)
                self._write_all()
        if delivers:
            self._deliver_all()

    # ---- the agent ----------------------------------------------------------------------------------

    @property
    def _run(self) -> ScriptedRun | None:
        runs = self.world.agent.runs
        return runs[-1] if runs and not runs[-1].ended.is_set() else None

    @precondition(lambda self: self._run is not None)
    @rule(size=st.sampled_from([1, 3, 300]))
    def agent_says(self, size: int) -> None:
        self._run.say("é🙂 "[: size % 4 or 4] * max(1, size // 3))

    @precondition(lambda self: self._run is not None)
    @rule(delivers=st.booleans())
    def agent_says_and_all_is_written(self, delivers: bool) -> None:
        self._run.say("more ")
        self.world.pass_time(0.03)
        self._write_all()
        if delivers:
            self._deliver_all()

    @precondition(lambda self: self._run is not None)
    @rule(ends=st.sampled_from(["well", "badly"]))
    def agent_ends(self, ends: str) -> None:
        if ends == "well":
            self._run.finish()
        else:
            self._run.fail(AgentTrouble("model_error", "It broke off."))

    # ---- the disk, time, the process ----------------------------------------------------------------

    @precondition(lambda self: self.world.store.held)
    @rule(most=st.integers(1, 4), settles=st.booleans())
    def write(self, most: int, settles: bool) -> None:
        for _ in range(min(most, len(self.world.store.held))):
            self.world.do(self.world.store.release())
        if settles:
            self.world.loop.settle()

    @precondition(lambda self: self.world.store.held)
    @rule(who=WHO)
    def write_and_join_at_once(self, who: int) -> None:
        """The write is reported and somebody joins in the same step of the loop."""
        world = self.world
        client = world.clients[who]
        world.cut(client)
        world.loop.settle()
        if world.store.held:
            world.loop.create_task(world.store.release())
            world.connect(client)
            world.loop.settle()

    @precondition(lambda self: self.world.store.held)
    @rule(happens=SELDOM)
    def disk_full(self, happens: bool) -> None:
        if happens:
            self.world.store.refuse()
            self.world.loop.settle()

    @rule(steps=st.integers(1, 3))
    def step(self, steps: int) -> None:
        for _ in range(steps):
            self.world.loop.step()

    @rule(seconds=st.sampled_from([0.02, 0.3, 1.1, 11.0]))
    def pass_time(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(written=st.integers(0, 3), happens=SELDOM)
    def crash(self, written: int, happens: bool) -> None:
        if not happens:
            return
        self.asked_before += self.world.agent.runs
        self.world.agent.runs.clear()
        self.world.crash(written=written)

    @precondition(lambda self: not self.copies)
    @rule()
    def keep_copy(self) -> None:
        self.copies.append(self.world.store.copy(is_restored=True))

    @precondition(lambda self: self.copies)
    @rule(happens=st.booleans())
    def restore(self, happens: bool) -> None:
        """An old copy of the database is put back: what came since is gone, and everybody is told."""
        if not happens:
            return
        self.world.crash(written=0, onto=self.copies.pop())
        self.asked_before.clear()
        self.world.agent.runs.clear()
        for client in self.world.clients:
            client.acked.clear()
            client.texts.clear()
            client.shown.clear()
            client.percents.clear()

    # ---- what holds ---------------------------------------------------------------------------------

    @invariant()
    def nothing_is_doubled_and_ids_have_no_gap(self) -> None:
        log = self.world.store.log
        assert not self.world.broken
        assert list(log) == list(range(1, len(log) + 1))
        events = [decode_durable(payload) for payload in log.values()]
        said = Counter((e.user, e.cid) for e in events if isinstance(e, wire.UserMessage))
        assert all(count == 1 for count in said.values()), f"doubled: {said}"
        ends = Counter(e.run for e in events if isinstance(e, wire.Done | wire.Interrupted | wire.Error))
        assert all(count == 1 for count in ends.values()), f"ended twice: {ends}"
        tasks = [e.task for e in events if isinstance(e, wire.TaskSubmitted)]
        given = Counter((e.user, e.cid) for e in events if isinstance(e, wire.TaskSubmitted))
        assert all(count == 1 for count in given.values()), f"given twice: {given}"
        over = Counter(e.task for e in events if isinstance(e, wire.Complete))
        assert all(count == 1 for count in over.values()), f"completed twice: {over}"
        assert over.keys() <= set(tasks), f"completed, but never given: {over}"
        asked = Counter(run.question.run for run in [*self.asked_before, *self.world.agent.runs])
        assert all(count == 1 for count in asked.values()), f"asked twice: {asked}"

    @invariant()
    def what_was_shown_and_acknowledged_is_on_disk(self) -> None:
        log = self.world.store.log
        for client in self.world.clients:
            for id, payload in client.shown.items():
                assert log.get(id) == payload, f"{client.user} was shown {payload!r}, the disk has {log.get(id)!r}"
            ids = list(client.shown)
            assert ids == sorted(ids)
            assert not ids or ids[-1] - ids[0] == len(ids) - 1, f"{client.user} was shown {ids}"
            for cid, id in client.acked.items():
                payload = log.get(id)
                assert payload is not None, f"{cid} was acknowledged and is lost"
                event: Any = decode_durable(payload)
                assert isinstance(event, wire.Cleared) or event.cid == cid

    # ---- calm ---------------------------------------------------------------------------------------

    def _calm_down(self) -> None:
        """The disk works, everybody is back, the agent finishes: then all see the same."""
        world = self.world
        for client in world.clients:
            if not client.is_connected or client.was_closed:
                world.cut(client)
                world.connect(client)
        for _ in range(200):
            self._turn_over()
            if not world.store.held and self._run is None and not any(c.outbox for c in world.clients):
                break
            for client in world.clients:
                if client.was_closed:
                    world.cut(client)
                    world.connect(client)
                elif client.outbox:
                    client.send(next(iter(client.outbox.values())))
        else:
            raise AssertionError(f"calm never came: {[c.outbox for c in world.clients]}, {world.store.held}")
        self._turn_over()
        self.nothing_is_doubled_and_ids_have_no_gap()
        self.what_was_shown_and_acknowledged_is_on_disk()
        log = world.store.log
        for client in world.clients:
            if client.was_closed:
                continue
            assert client.cursor.after == len(log), f"{client.user} is at {client.cursor.after} of {len(log)}"
            self._check_texts(client, log)
        self._check_tasks()

    def _check_tasks(self) -> None:
        """Who was here sees them as one who comes anew; then they go on to their one end."""
        world = self.world
        fresh = world.client("zoe")
        world.connect(fresh)
        self._turn_over()
        for client in world.clients:
            if not client.was_closed:
                assert client.chat.tasks == fresh.chat.tasks, f"{client.user}: {client.chat.tasks}, {fresh.chat.tasks}"
        for _ in range(40):
            world.worker.let(1)
            self._turn_over()
            if not world.desk.open_count:
                break
        events = [decode_durable(payload) for payload in world.store.log.values()]
        given = {event.task for event in events if isinstance(event, wire.TaskSubmitted)}
        over = [event.task for event in events if isinstance(event, wire.Complete)]
        assert sorted(over) == sorted(given), f"given: {given}, completed: {over}"
        for client in world.clients:
            assert client.was_closed or not client.chat.tasks, f"{client.user} still has {client.chat.tasks}"

    def _turn_over(self) -> None:
        world = self.world
        for _ in range(30):
            world.pass_time(0.03)
            self._write_all()
            self._deliver_all()
            run = self._run
            if run is not None:
                run.finish()
            world.loop.settle()
            if run is None and not world.store.held:
                break
        world.pass_time(1.1)  # an ending that the disk refused is tried again each second
        self._write_all()
        self._deliver_all()

    def _write_all(self) -> None:
        while self.world.store.held:
            self.world.do(self.world.store.release())
            self.world.loop.settle()

    def _deliver_all(self) -> None:
        for client in self.world.clients:
            if client.is_connected:
                client.deliver(1000)

    @staticmethod
    def _check_texts(client: Client, log: dict[int, bytes]) -> None:
        for payload in log.values():
            event = msgspec.json.decode(payload)
            if event["type"] in ("done", "interrupted", "error"):
                shown = client.texts.get(event["run"], "")
                assert event["content"].startswith(shown), f"{client.user} saw {shown!r}, kept is {event['content']!r}"
