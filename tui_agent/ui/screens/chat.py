"""The main screen: top bar, banner, transcript, composer, panel and status line. It draws; the app decides."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen

from tui_agent.state.changes import Change, Reset
from tui_agent.state.command import Commands
from tui_agent.ui.bars import Bar, banner_content, is_banner_due, top_content
from tui_agent.ui.composer import Composer
from tui_agent.ui.composer_box import ComposerBox
from tui_agent.ui.frame import NARROW, WIDE, Frame
from tui_agent.ui.layout import FrameLayout
from tui_agent.ui.messages import CommandGiven
from tui_agent.ui.panel import Panel
from tui_agent.ui.status import StatusLine
from tui_agent.ui.transcript.pane import Anchor
from tui_agent.ui.transcript.widget import Transcript

HINT_LEAVES = 16  # cells of the status line that a hint must leave to the keys; a longer one stands in the box


class ChatScreen(Screen[None]):
    """The chat. Keys of the table that the screen owns become its bindings and are posted as CommandGiven."""

    def __init__(self, commands: Commands) -> None:
        super().__init__(name="chat")
        own = [command for command in commands if command.owner == "transcript"]
        self._transcript_keys = {key: command.name for command in own for key in command.keys}
        self.styles.inline.set_rule("layout", FrameLayout())
        for command in commands:
            if command.owner == "screen":
                for key in command.keys:
                    binding = Binding(key, f"command('{command.name}')", command.title, show=False, priority=True)
                    self._bindings.key_to_bindings.setdefault(key, []).append(binding)

    def compose(self) -> ComposeResult:
        yield Bar(id="top")
        yield Bar(id="banner")
        yield Transcript(id="log", keys=self._transcript_keys)
        yield ComposerBox(id="box")
        yield Panel(id="panel")
        yield StatusLine(id="status")

    def on_mount(self) -> None:
        self.composer.focus()

    # ---- the parts -----------------------------------------------------------------------------------

    @property
    def transcript(self) -> Transcript:
        return self.query_one("#log", Transcript)

    @property
    def composer(self) -> Composer:
        return self.query_one("#composer", Composer)

    # ---- drawing ---------------------------------------------------------------------------------------

    def draw(self, frame: Frame, changes: Sequence[Change]) -> None:
        """Show what changed in the transcript and what stands round it."""
        transcript = self.transcript
        transcript.items.folds = frame.conversation.folds
        if changes:
            transcript.apply(changes)
        width, is_narrow, room = self._widths()
        panel = self.query_one("#panel", Panel)
        panel.set_class(width >= WIDE and frame.is_panel_wanted, "-shown")
        frame.is_following, frame.unseen = transcript.is_following, transcript.unseen
        self.draw_tasks(frame)
        top = self.query_one("#top", Bar)
        status = frame.conversation.status
        banner = self.query_one("#banner", Bar)
        banner.set_class(is_banner_due(status), "-shown")
        reconnect_key = frame.key_of.get("reconnect", "")
        banner.show(banner_content(status, frame.conversation.retry_in_s, room, reconnect_key))
        box = self.query_one("#box", ComposerBox)
        box.set_class(frame.is_recording, "-recording")
        frame.is_hint_in_box = cell_len(frame.hint) > width - HINT_LEAVES
        box.say(frame.hint if frame.is_hint_in_box else "")
        box.note, box.message_bytes = frame.box_note, frame.conversation.chat.message_bytes
        status_line = self.query_one("#status", StatusLine)
        for bar in (top, banner, status_line):
            bar.set_class(is_narrow, "-narrow")
        status_line.show(frame, room)

    def draw_tasks(self, frame: Frame) -> None:
        """Only what shows the tasks: the panel, and the top bar, which has them where there is no panel."""
        width, _, room = self._widths()
        has_panel = width >= WIDE and frame.is_panel_wanted
        self.query_one("#top", Bar).show(top_content(frame, room, has_panel=has_panel))
        if has_panel:
            self.query_one("#panel", Panel).show(frame)

    def _widths(self) -> tuple[int, bool, int]:
        """Cells of the screen, whether that is narrow, and cells for the text of a bar."""
        width = self.size.width
        is_narrow = width < NARROW
        return width, is_narrow, width - (2 if is_narrow else 4)

    def paint_letter(self) -> None:
        """The composer's changed lines are given to the terminal now, alone: not with what streams at Textual's next
        tick. Where the layout changes with them, as where a line wraps, all of it is."""
        if not self.is_current or not self.is_running or self.app._batch_count:
            return
        with self._context():
            if self._layout_required or self._repaint_required:
                self._dirty_widgets.add(self.composer)  # it says so itself only when it is idle
                self._on_timer_update()
                return
            waiting = self._dirty_widgets - {self.composer}
            self._compositor.update_widgets({self.composer})
            self._compositor_refresh()  # forgets what else waits
            self._dirty_widgets.update(waiting)

    def show_room(self, frame: Frame, position: object | None) -> None:
        """Another room: all of it anew, where it stood when it was left. Nothing is chosen there."""
        if self.transcript.drop_cursor():
            self.composer.focus()
        self.draw(frame, [Reset(tuple(frame.conversation.entries))])
        self.transcript.restore(position if isinstance(position, Anchor) else None)

    def position(self) -> object | None:
        """Where the transcript stands, for `show_room`; None while it follows the end."""
        return self.transcript.position()

    @on(Transcript.Typed)
    def _typed(self, message: Transcript.Typed) -> None:
        """Writing goes on where one writes."""
        self.composer.focus()
        if message.text:
            self.composer.insert(message.text)

    def page(self, direction: int) -> None:
        """A page up (-1) or down (1)."""
        view = self.transcript
        view.scroll_relative(y=direction * max(1, view.size.height - 2), animate=False)

    def follow(self) -> None:
        self.transcript.follow()

    def action_command(self, name: str) -> None:
        self.post_message(CommandGiven(name))
