"""Every named action of the chat, in one table: keys, F1, the palette, slash commands and `[keys]` come from it.

To add one, add a row:

    Command("export", "Save the room as a file", lambda app, words: app.export.save(words),
            slash="/export", takes="[md|json]", group="Rooms"),

`name` is what `[keys]` in config.toml calls it, `key` the default key (none: palette and slash only), `when` says in
words when it does something. `run(app, words)` gets the ChatApp and what followed the slash command; it returns at once
(long work is a Textual worker). A key that a widget must see itself (Enter, the arrows) has `owner="composer"` or
`"transcript"`: the screen does not bind it, the widget asks `app.commands["send"].keys`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tui_agent.state.command import Command, Commands

if TYPE_CHECKING:
    from tui_agent.app import ChatApp


def _nothing(_app: ChatApp, _words: str) -> None:
    """The widget that owns the key does it."""


_CHOSEN: Final[dict[str, Any]] = {
    "group": "Look", "when": "while a message is chosen", "owner": "transcript", "in_palette": False,
}  # fmt: skip

COMMANDS: Final = Commands(
    [
        # ---- writing ----------------------------------------------------------------------------------
        Command("send", "Send", _nothing, "enter", group="Write", owner="composer", in_palette=False),
        Command(
            "new_line", "New line", _nothing, "ctrl+j,shift+enter,alt+enter",
            group="Write", owner="composer", in_palette=False,
        ),
        Command(
            "search_inputs", "Search earlier inputs", lambda app, _: app.composing.search_inputs(), "ctrl+r",
            group="Write",
        ),
        Command(
            "editor", "Write in your editor ($EDITOR)", lambda app, _: app.composing.edit_elsewhere(), "ctrl+g",
            group="Write",
        ),
        Command(
            "copy_or_clear", "Copy the selection, else clear the input, else twice quits",
            lambda app, _: app.leaving.copy_or_clear(), "ctrl+c", group="Write", in_palette=False,
        ),
        Command(
            "resend", "Send again what was refused or is only offered", lambda app, _: app.resend(),
            slash="/resend", group="Write", when="while a message is marked so",
        ),
        Command(
            "discard", "Drop what was refused or is only offered", lambda app, _: app.discard(),
            slash="/discard", group="Write", when="while a message is marked so",
        ),
        # ---- the agent --------------------------------------------------------------------------------
        Command(
            "stop", "Stop the answer and all speech", lambda app, _: app.stop(), "escape",
            group="Agent", when="while a popup is open, one records or an answer runs",
        ),
        Command(
            "clear", "Let the agent forget the conversation", lambda app, _: app.clear_conversation(),
            slash="/clear", group="Agent",
        ),
        # ---- looking ----------------------------------------------------------------------------------
        Command("page_up", "Scroll up", lambda app, _: app.chat_screen.page(-1), "pageup", group="Look"),
        Command("page_down", "Scroll down", lambda app, _: app.chat_screen.page(1), "pagedown", group="Look"),
        Command(
            "follow", "Follow the end again", lambda app, _: app.chat_screen.follow(), "ctrl+end",
            group="Look", when="while scrolled up",
        ),
        Command(
            "jump_previous", "Choose the message before", lambda app, _: app.chat_screen.transcript.jump(-1), "ctrl+up",
            group="Look",
        ),
        Command(
            "jump_next", "Choose the message after", lambda app, _: app.chat_screen.transcript.jump(1), "ctrl+down",
            group="Look", when="while a message is chosen",
        ),
        Command(
            "copy_message", "Copy the chosen message, else the last answer",
            lambda app, _: app.chat_screen.transcript.copy_message(), "f7", slash="/copy", group="Look",
        ),
        Command(
            "copy_code", "Copy the last code of the chosen message, else the last one",
            lambda app, _: app.chat_screen.transcript.copy_code(), "f8", group="Look",
        ),
        Command(
            "fold", "Fold the chosen message or open it, else the last long one",
            lambda app, _: app.chat_screen.transcript.toggle_fold(), "f9", group="Look",
        ),
        Command(
            "fold_all", "Fold all long answers, or open them all",
            lambda app, _: app.say(app.chat_screen.transcript.fold_all()), slash="/fold", group="Look",
        ),
        Command("choose_previous", "Choose the message before", _nothing, "up", **_CHOSEN),
        Command("choose_next", "Choose the message after", _nothing, "down", **_CHOSEN),
        Command("open", "Open the chosen message or fold it", _nothing, "enter", **_CHOSEN),
        Command("select_up", "Select a row less", _nothing, "shift+up", **_CHOSEN),
        Command("select_down", "Select a row more", _nothing, "shift+down", **_CHOSEN),
        Command("select_word_left", "Select a word less", _nothing, "shift+left", **_CHOSEN),
        Command("select_word_right", "Select a word more", _nothing, "shift+right", **_CHOSEN),
        Command("panel", "Side panel on or off", lambda app, _: app.toggle_panel(), "f3", group="Look"),
        Command("theme", "Choose a theme", lambda app, _: app.choosing.theme(), group="Look"),
        # ---- rooms ------------------------------------------------------------------------------------
        Command(
            "rooms", "Rooms: join, create", lambda app, _: app.choosing.room(), "ctrl+o", slash="/rooms", group="Rooms"
        ),
        Command(
            "room", "Go to a room, new or not", lambda app, words: app.moving.to(words),
            slash="/room", takes="NAME", group="Rooms", in_palette=False,
        ),
        Command("last_room", "Back to the room before", lambda app, _: app.moving.back(), "f6", group="Rooms"),
        Command(
            "export", "Write the whole room into a file", lambda app, words: app.saving.export(words),
            slash="/export", takes="[md|json] [PATH]", group="Rooms",
        ),
        # ---- tasks ------------------------------------------------------------------------------------
        Command("tasks", "Tasks: steps, results, stop one", lambda app, _: app.tasking.show(), "f4", group="Tasks"),
        Command(
            "task", "Give the agent long work; it goes on when you leave", lambda app, words: app.tasking.submit(words),
            slash="/task", takes="PROMPT", group="Tasks",
        ),
        Command(
            "cancel_task", "Stop a task (asks once)", lambda app, words: app.tasking.cancel(words),
            slash="/cancel", takes="[ID or words of its title]", group="Tasks",
        ),
        Command(
            "notify", "Notifications when a task has ended", lambda app, words: app.notifying.command(words),
            slash="/notify", takes="on|off|test", group="Tasks",
        ),
        # ---- the voice --------------------------------------------------------------------------------
        Command(
            "talk", "Talk: press, speak, fall silent or press again", lambda app, _: app.talking.press(), "f2",
            group="Voice",
        ),
        Command(
            "speak", "Answers spoken aloud, on or off", lambda app, _: app.talking.toggle_speak(), "shift+f2,f14",
            slash="/speak", group="Voice",
        ),  # xterm and its kin tell shift+F2 as F14
        Command(
            "hands_free", "Hands-free: listen, send, speak, listen again; F2 ends it",
            lambda app, _: app.talking.hands_free(), slash="/hands-free", group="Voice",
        ),
        Command(
            "voice", "Microphone, model, language and voice", lambda app, words: app.talking.settings.command(words),
            slash="/voice", takes="[SETTING [VALUE]]", group="Voice",
        ),
        # ---- the program ------------------------------------------------------------------------------
        Command("help", "Keys and commands", lambda app, _: app.show_help(), "f1", slash="/help"),
        Command("palette", "Command palette", lambda app, _: app.choosing.command(), "ctrl+p", in_palette=False),
        Command("reconnect", "Connect now", lambda app, _: app.moving.reconnect(), "f5", when="while not connected"),
        Command("suspend", "To the background (fg comes back)", lambda app, _: app.action_suspend_process(), "ctrl+z"),
        Command("quit_when_empty", "Quit", lambda app, _: app.leaving.quit_when_empty(), "ctrl+d",
                when="while the input is empty", in_palette=False),
        Command("quit", "Quit; the agent goes on", lambda app, _: app.leaving.quit(), slash="/quit"),
    ]
)  # fmt: skip
