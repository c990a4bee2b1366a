"""A typed letter goes to the terminal alone and before what streams, which waits for Textual's next tick."""

from __future__ import annotations

import pytest
from textual._compositor import CompositorUpdate

from server import protocol as wire
from tests.looks.scenes import ANSWER, SCENES, Scene, scene
from tests.ui.conftest import until

pytestmark = pytest.mark.usefixtures("home")
SIZE = (120, 40)


class Terminal:
    """What is given to the terminal, each update as it is written, while Textual's ticks are held."""

    def __init__(self, shown: Scene, hold: pytest.MonkeyPatch) -> None:
        self.updates: list[str] = []
        self._app = shown.app
        hold.setattr(shown.app.chat_screen._update_timer, "resume", lambda: None)
        hold.setattr(shown.app, "_display", self._take)

    def _take(self, _screen: object, update: CompositorUpdate | None) -> None:
        if update is not None:
            self.updates.append(update.render_segments(self._app.console))

    def has(self, words: str) -> bool:
        return any(words in update for update in self.updates)


async def with_a_waiting_stream(shown: Scene, hold: pytest.MonkeyPatch) -> Terminal:
    """An answer whose newest word is drawn at Textual's next tick, which does not come."""
    await SCENES["streaming"](shown)
    screen = shown.app.chat_screen
    terminal = Terminal(shown, hold)
    shown.link.tell(wire.Token("r1", len(ANSWER), " newest"))
    await until(lambda: screen.transcript in screen._dirty_widgets)
    assert not terminal.has("newest")
    return terminal


async def test_a_letter_is_given_to_the_terminal_alone_and_what_streams_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scene(SIZE) as shown:
        screen = shown.app.chat_screen
        with monkeypatch.context() as hold:
            terminal = await with_a_waiting_stream(shown, hold)
            await shown.pilot.press("Z")
            await until(lambda: terminal.updates)
            assert terminal.has("Z")
            assert not terminal.has("newest")
            assert screen.transcript in screen._dirty_widgets
            screen._on_timer_update()  # the tick comes
            assert terminal.has("newest")


async def test_a_letter_typed_while_the_screen_is_not_current_writes_nothing_over_what_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scene(SIZE) as shown:
        await SCENES["help"](shown)
        with monkeypatch.context() as hold:
            terminal = Terminal(shown, hold)
            shown.app.chat_screen.composer.insert("Z")
            shown.app.chat_screen.paint_letter()
            assert terminal.updates == []


async def test_a_letter_that_changes_the_layout_is_given_with_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene(SIZE) as shown:
        screen = shown.app.chat_screen
        with monkeypatch.context() as hold:
            terminal = await with_a_waiting_stream(shown, hold)
            screen._layout_required = True
            screen.composer.insert("Z")
            screen.paint_letter()
            assert terminal.has("Z")
            assert terminal.has("newest")
            assert not screen._layout_required
