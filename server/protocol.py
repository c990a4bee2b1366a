"""What goes over the wire: commands, events, their codec and the limits (docs/protocol.md is the contract).

Structs are msgspec's; a field that is ``UNSET`` is left out of the JSON. Unknown fields are ignored on both
sides, so that either may grow. This module imports nothing of ours, and the client imports nothing else
of the server.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

SUBPROTOCOL: Final = "tui-agent.v1"
AGENT_VERSION: Final = "1.0.0"

ROOM_PATTERN: Final = r"[a-z0-9][a-z0-9._-]{0,63}"
USER_PATTERN: Final = r"[a-z0-9][a-z0-9_-]{0,31}"
CID_PATTERN: Final = r"[!-~]{1,64}"
_ROOM = re.compile(ROOM_PATTERN)
_USER = re.compile(USER_PATTERN)
_CID = re.compile(CID_PATTERN)

CLIENT_FRAME_BYTES: Final = 64 * 1024
SERVER_FRAME_BYTES: Final = 1024 * 1024
MESSAGE_BYTES: Final = 60_000  # of UTF-8 in `content`; leaves room for the JSON round it
ANSWER_BYTES: Final = 512 * 1024  # encoded; then the run ends with stop_reason "size_limit"
PAGE_BYTES: Final = 512 * 1024  # what a snapshot or a page may hold
PAGE_EVENTS: Final = 200
SNAPSHOT_EVENTS: Final = 50
RESUME_EVENTS: Final = 1000
RESUME_BYTES: Final = 1024 * 1024
QUEUE_MESSAGES: Final = 8
TITLE_CHARACTERS: Final = 120  # of a task; what is longer is cut
OPEN_TASKS: Final = 16  # queued and running ones of a room; then `busy`
LISTED_MEMBERS: Final = 50
HEARTBEAT_S: Final = 15
HEARTBEAT_TIMEOUT_S: Final = 10
HELLO_TIMEOUT_S: Final = 10


class Close:
    """WebSocket close codes, and which of them a client answers with a new try."""

    GOING_AWAY = 1001
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_FRAME = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SLOW_CONSUMER = 4408
    REPLACED = 4409
    UNSUPPORTED_VERSION = 4426
    FLOODING = 4429

    FINAL = frozenset({BAD_FRAME, UNAUTHORIZED, FORBIDDEN, REPLACED, UNSUPPORTED_VERSION, FLOODING})


Code = Literal[
    "bad_request",
    "unauthorized",
    "forbidden",
    "not_found",
    "too_large",
    "rate_limited",
    "busy",
    "unsupported_version",
    "model_overloaded",
    "model_rate_limited",
    "model_auth",
    "model_refused",
    "model_error",
    "budget_exceeded",
    "storage_full",
    "internal",
]
RETRYABLE: Final = frozenset(
    {"rate_limited", "busy", "model_overloaded", "model_rate_limited", "storage_full", "internal"}
)
RunStatus = Literal["queued", "thinking", "streaming", "idle"]
InterruptReason = Literal["user", "clear", "server_restart"]
TaskStatus = Literal["queued", "running", "completed", "failed", "canceled"]


def is_room_name(name: str) -> bool:
    """Whether `name` may name a room."""
    return _ROOM.fullmatch(name) is not None


def is_user_name(name: str) -> bool:
    """Whether `name` may name a person."""
    return _USER.fullmatch(name) is not None


def is_cid(cid: str) -> bool:
    """Whether `cid` may identify a command (a UUID, by convention)."""
    return _CID.fullmatch(cid) is not None


def default_socket_path(environ: Mapping[str, str]) -> Path:
    """Where client and server of one person meet on one machine: the runtime folder, else one in the temporary folder.

    Both sides must find the same place, so it stands here. Whoever uses it checks owner and mode (0700) of the folder.
    """
    runtime = environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "tui-agent" / "server.sock"
    return Path(tempfile.gettempdir()) / f"tui-agent-{os.getuid()}" / "server.sock"


def rfc3339(unix_s: float) -> str:
    """A wall-clock time in seconds as RFC 3339 in UTC, to the millisecond."""
    second, milliseconds = divmod(int(unix_s * 1000), 1000)
    return f"{_whole_second(second)}.{milliseconds:03d}Z"


@lru_cache(maxsize=8)
def _whole_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


# ---- parts ---------------------------------------------------------------------------------------


class Resume(Struct, omit_defaults=True):
    """What a client has: all durable events to `after`, and `offset` code points of the open `run`."""

    epoch: str
    after: int
    run: str | None = None
    offset: int = 0


class Member(Struct):
    user: str
    connections: int
    since: str


class OpenRun(Struct):
    """The answer being made; `content` only inside a snapshot."""

    run: str
    status: RunStatus
    asked: list[int]
    users: list[str]
    content: str | UnsetType = UNSET


class QueuedMessage(Struct):
    id: int
    user: str


class TaskInfo(Struct):
    """A task that is queued or running. `place` (from 1) is there while it is queued; `steps` are the plan's titles
    once there is a plan, `step` the index of the one it is at; `submitted` and `started` are times."""

    task: str
    title: str
    user: str
    status: TaskStatus
    percent: int
    message: str
    submitted: str | UnsetType = UNSET
    started: str | UnsetType = UNSET
    place: int | UnsetType = UNSET
    step: int | UnsetType = UNSET
    steps: list[str] | UnsetType = UNSET


class AgentInfo(Struct):
    name: str
    model: str


class Limits(Struct):
    message_bytes: int = MESSAGE_BYTES
    queue: int = QUEUE_MESSAGES


class Usage(Struct):
    """Tokens of one answer, named as in the Messages API; `context_window` is the model's size in tokens."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    context_window: int = 0
    context_tokens: int = 0  # how much of the window the next turn starts with

    @property
    def total_tokens(self) -> int:
        """Everything that was billed, in tokens."""
        return self.input_tokens + self.output_tokens + self.cache_read_input_tokens + self.cache_creation_input_tokens


class LastLine(Struct):
    """The newest message of a room, cut to 200 code points."""

    time: str
    user: str
    content: str


class RoomInfo(Struct):
    """One row of `rooms`: `count` members are there now."""

    room: str
    head: int
    count: int
    last: LastLine | None


# ---- commands ------------------------------------------------------------------------------------


class Hello(Struct, tag="hello"):
    client: str
    device: str
    user: str | None = None
    resume: Resume | None = None


class Message(Struct, tag="message"):
    cid: str
    content: str


class Interrupt(Struct, tag="interrupt"):
    cid: str
    run: str


class Clear(Struct, tag="clear"):
    cid: str


class SubmitTask(Struct, tag="submit_task"):
    cid: str
    prompt: str
    title: str | UnsetType = UNSET


class CancelTask(Struct, tag="cancel_task"):
    cid: str
    task: str


class History(Struct, tag="history"):
    cid: str
    before: int
    limit: int = PAGE_EVENTS


class Rooms(Struct, tag="rooms"):
    cid: str


class Typing(Struct, tag="typing"):
    active: bool


Command = Message | Interrupt | Clear | SubmitTask | CancelTask | History | Rooms | Typing


# ---- durable events ------------------------------------------------------------------------------


class UserMessage(Struct, tag="user_message"):
    id: int
    time: str
    user: str
    cid: str
    content: str
    run: str


class Done(Struct, tag="done"):
    id: int
    time: str
    run: str
    asked: list[int]
    users: list[str]
    content: str
    stop_reason: str
    usage: Usage


class Interrupted(Struct, tag="interrupted"):
    id: int
    time: str
    run: str
    asked: list[int]
    users: list[str]
    by: str | None
    reason: InterruptReason
    content: str


class Cleared(Struct, tag="cleared"):
    id: int
    time: str
    by: str


class TaskSubmitted(Struct, tag="task_submitted"):
    id: int
    time: str
    task: str
    cid: str
    user: str
    title: str
    prompt: str
    run: str | UnsetType = UNSET  # the answer in which the agent started it for `user`


class Complete(Struct, tag="complete"):
    id: int
    time: str
    task: str
    status: Literal["completed", "failed", "canceled"]
    result: str
    code: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    by: str | UnsetType = UNSET
    title: str | UnsetType = UNSET
    user: str | UnsetType = UNSET


class Error(Struct, tag="error"):
    """With `run` a failed answer (durable: has `id`); with `ref` a refused command (live only).

    `code` is a plain string here, so that a client lives through codes that come later.
    """

    code: str
    message: str
    id: int | UnsetType = UNSET
    time: str | UnsetType = UNSET
    run: str | UnsetType = UNSET
    asked: list[int] | UnsetType = UNSET
    users: list[str] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    ref: str | None | UnsetType = UNSET
    retryable: bool | UnsetType = UNSET
    retry_after: float | UnsetType = UNSET


DurableEvent = UserMessage | Done | Interrupted | Error | Cleared | TaskSubmitted | Complete


# ---- live events ---------------------------------------------------------------------------------


class Welcome(Struct, tag="welcome"):
    server: str
    room: str
    user: str
    connection: str
    epoch: str
    head: int
    recovered: bool
    members: list[Member]
    count: int
    open_run: OpenRun | None
    queue: list[QueuedMessage]
    tasks: list[TaskInfo]
    agent: AgentInfo
    limits: Limits
    heartbeat: int = HEARTBEAT_S


class Snapshot(Struct, tag="snapshot"):
    """The newest events, oldest first; `more` says that older ones exist (ask with `history`)."""

    epoch: str
    head: int
    events: list[DurableEvent]
    more: bool
    open_run: OpenRun | None


class Page(Struct, tag="page"):
    ref: str
    events: list[DurableEvent]
    more: bool


class RoomList(Struct, tag="rooms"):
    ref: str
    rooms: list[RoomInfo]


class Status(Struct, tag="status"):
    run: str
    status: RunStatus
    asked: list[int]
    users: list[str]
    note: str | UnsetType = UNSET


class Token(Struct, tag="token"):
    run: str
    offset: int
    content: str


class Progress(Struct, tag="progress"):
    """`percent` and `message` say where it stands; the rest as in TaskInfo, `steps` only when the plan is new."""

    task: str
    percent: int
    message: str
    status: TaskStatus | UnsetType = UNSET
    started: str | UnsetType = UNSET
    place: int | UnsetType = UNSET
    step: int | UnsetType = UNSET
    steps: list[str] | UnsetType = UNSET


class UserJoined(Struct, tag="user_joined"):
    users: list[str]
    count: int
    active_users: list[str] | UnsetType = UNSET


class UserLeft(Struct, tag="user_left"):
    users: list[str]
    count: int
    active_users: list[str] | UnsetType = UNSET


class UserTyping(Struct, tag="typing"):
    user: str
    active: bool


class Ack(Struct, tag="ack"):
    ref: str
    duplicate: bool = False
    id: int | UnsetType = UNSET
    run: str | UnsetType = UNSET
    task: str | UnsetType = UNSET


LiveEvent = Welcome | Snapshot | Page | RoomList | Status | Token | Progress | UserJoined | UserLeft | UserTyping | Ack
Event = DurableEvent | LiveEvent


# ---- codec ---------------------------------------------------------------------------------------


class BadFrame(ValueError):
    """A frame that is no valid command or event. `ref` is its cid where one could be read."""

    def __init__(self, reason: str, ref: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.ref = ref


class _Envelope(Struct):
    type: str = ""
    cid: str | None = None


_encoder = msgspec.json.Encoder()
_hello_decoder = msgspec.json.Decoder(Hello)
_command_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_event_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_durable_decoder: msgspec.json.Decoder[DurableEvent] = msgspec.json.Decoder(DurableEvent)

encode = _encoder.encode
COMMAND_TYPES: Final = frozenset(c.__struct_config__.tag for c in Command.__args__)
EVENT_TYPES: Final = frozenset(e.__struct_config__.tag for e in Event.__args__)


def _envelope(frame: str | bytes) -> _Envelope:
    """Type and cid of a frame that msgspec refused, as far as they can be read.

    The standard library's parser also takes what the wire forbids (lone surrogates), so that a refusal can still name
    the command it is for.
    """
    try:
        value = json.loads(frame)
    except (ValueError, RecursionError):
        return _Envelope()
    if not isinstance(value, dict):
        return _Envelope()
    type_, cid = value.get("type"), value.get("cid")
    return _Envelope(type_ if isinstance(type_, str) else "", cid if isinstance(cid, str) and is_cid(cid) else None)


def decode_hello(frame: str | bytes) -> Hello:
    """The first frame of a client. Raises BadFrame."""
    try:
        return _hello_decoder.decode(frame)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise BadFrame("the first frame must be a hello") from None


def decode_command(frame: str | bytes) -> Command:
    """One command. Raises BadFrame with a reason that may be shown to a person and holds none of the input."""
    try:
        command = _command_decoder.decode(frame)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        envelope = _envelope(frame)
        ref = envelope.cid
        if not envelope.type:
            raise BadFrame("the frame is not a JSON object with a type", ref) from None
        if envelope.type not in COMMAND_TYPES:
            raise BadFrame("this server does not know that command", ref) from None
        raise BadFrame("a field is missing or has the wrong type", ref) from None
    if not isinstance(command, Typing) and not is_cid(command.cid):
        raise BadFrame("cid must be 1 to 64 printable ASCII characters, best a UUID")
    return command


def decode_event(frame: str | bytes) -> Event | None:
    """One event of a server; None for a type that came after this version. Raises BadFrame."""
    try:
        return _event_decoder.decode(frame)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        envelope = _envelope(frame)
        if envelope.type and envelope.type not in EVENT_TYPES:
            return None
        raise BadFrame("the server sent a frame that is no event of this protocol") from None


def decode_durable(payload: bytes) -> DurableEvent:
    """One durable event as it stands in the store. Raises msgspec.MsgspecError."""
    return _durable_decoder.decode(payload)
