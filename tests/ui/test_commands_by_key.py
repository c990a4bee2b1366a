"""Every command of the table, by its key and by its slash command, on a real server."""

from __future__ import annotations

from textual import events

from tests.ui.conftest import Stage, until
from tui_agent.ui.screens.chat import ChatScreen


async def test_enter_sends_and_the_answer_streams_in(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        await pilot.press(*"hello", "enter")
        run = await stage.agent.wait_run()
        run.say("Hi there.")
        run.finish()
        await until(lambda: [e.text for e in app.conversation.chat.entries] == ["hello", "Hi there."])
        assert app.chat_screen.composer.text == ""


async def test_escape_interrupts_the_running_answer_and_keeps_the_typed_text(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        await pilot.press(*"hello", "enter")
        run = await stage.agent.wait_run()
        run.say("Half an ans")
        await until(lambda: app.conversation.chat.entries[-1].text == "Half an ans")
        await pilot.press(*"next", "escape")
        await until(lambda: app.conversation.chat.entries[-1].state == "interrupted")
        assert app.chat_screen.composer.text == "next"
        assert run.cancelled.is_set()


async def test_ctrl_o_lists_the_rooms_and_enter_goes_back_to_the_room_before(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        await pilot.press("ctrl+o", *"ops", "enter")
        await until(lambda: app.conversation.room == "ops" and app.conversation.is_live)
        await pilot.press("ctrl+o")
        await until(lambda: app.screen.name == "picker")
        await pilot.press("enter")
        await until(lambda: app.conversation.room == "main")
        await pilot.press("f6")
        await until(lambda: app.conversation.room == "ops")


async def test_f1_and_ctrl_p_open_and_escape_closes_them(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        for key, screen in (("f1", "help"), ("ctrl+p", "picker")):
            await pilot.press(key)
            await until(lambda screen=screen: app.screen.name == screen)
            await pilot.press("escape")
            await until(lambda: isinstance(app.screen, ChatScreen))


async def test_two_presses_of_escape_at_once_close_one_popup_and_nothing_breaks(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        for key in ("f1", "ctrl+p", "ctrl+o"):
            await pilot.press(key)
            await until(lambda: not isinstance(app.screen, ChatScreen))
            top = app.screen
            for _ in range(3):  # in one read: all are on their way before the first is dealt with
                top.post_message(events.Key("escape", None))
            await until(lambda: isinstance(app.screen, ChatScreen))
            await pilot.pause()
            assert len(app.screen_stack) == 1


async def test_a_fold_stays_in_its_room_and_is_kept_while_one_looks_at_another(stage: Stage) -> None:
    async with stage.app() as (app, pilot):

        async def long_answer() -> None:
            await pilot.press(*"go", "enter")
            run = await stage.agent.wait_run()
            run.say("\n\n".join(f"line {number}" for number in range(40)))
            run.finish()
            await until(lambda: app.conversation.chat.entries[-1].state == "done")
            await pilot.pause()

        def is_folded() -> bool:
            return "more lines · enter opens" in "\n".join(
                strip.text for strip in app.chat_screen._compositor.render_strips()
            )

        await long_answer()
        await pilot.press("ctrl+up", "f9")
        await until(is_folded)
        await pilot.press("ctrl+o", *"ops", "enter")
        await until(lambda: app.conversation.room == "ops" and app.conversation.is_live)
        assert app.chat_screen.transcript.cursor is None, "what was chosen is of the other room"
        assert app.focused is app.chat_screen.composer
        await long_answer()
        assert app.conversation.chat.entries[-1].key == "a:r1", "rooms count their answers alike"
        assert not is_folded()
        await pilot.press("f6")
        await until(lambda: app.conversation.room == "main" and is_folded())
        await pilot.press(*"/fold", "enter")
        await until(lambda: app.frame.hint == "1 long answer opened.")
        await until(lambda: not is_folded())
