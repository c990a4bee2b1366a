"""Settings: who wins, and that a broken file is named by file, line and key and never stops the start."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.protocol import is_user_name
from tui_agent import config, paths
from tui_agent.config import Settings, default_user, load


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"TUI_AGENT_CONFIG": str(tmp_path / "config.toml"), "LOGNAME": "ada"}


def write(environ: dict[str, str], text: str) -> Path:
    path = Path(environ["TUI_AGENT_CONFIG"])
    path.write_text(text)
    return path


def test_without_anything_the_defaults_are_in_force(environ: dict[str, str]) -> None:
    assert load({}, environ) == Settings(user="ada")


def test_flags_win_over_the_environment_over_the_file(environ: dict[str, str]) -> None:
    write(environ, 'room = "file"\nuser = "file"\ntheme = "file"\n[voice]\nrate = 200\nsend = "review"\n')
    environ |= {"TUI_AGENT_ROOM": "env", "TUI_AGENT_USER": "env", "TUI_AGENT_SERVER": "ws://host"}
    settings = load({"room": "flag"}, environ)
    assert (settings.room, settings.user, settings.theme) == ("flag", "env", "file")
    assert settings.server_url == "ws://host"
    assert (settings.voice.rate, settings.voice.send) == (200, "review")
    assert settings.problems == ()


def test_keys_and_the_servers_table_are_taken(environ: dict[str, str]) -> None:
    write(environ, '[keys]\nstop = "ctrl+x"\n[server]\nagent = "demo"\n')
    settings = load({}, environ)
    assert settings.keys == {"stop": "ctrl+x"}
    assert settings.problems == ()


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('room = "ok"\nroom == 2\n', 2, "not TOML"),
        ('theme = "a"\ncolour = "b"\n', 2, "no setting `colour`"),
        ('\n\nroom = "Not A Room"\n', 3, "`room` must be a room name"),
        ('user = "x y"\n', 1, "`user` must be a name"),
        ("plain = 1\n", 1, "`plain` must be true or false"),
        ("# x\n[voice]\n# y\nrate = 9\n", 4, "`voice.rate` must be a whole number from 50 to 500"),
        ('[voice]\nsend = "maybe"\n', 2, '`voice.send` must be "auto" or "review"'),
        ("[voice]\nvolume = 1.5\n", 2, "`voice.volume` must be a number from 0 to 1"),
        ("[notify]\non = 0\n", 2, "`notify.on` must be true or false"),
        ("[notify]\nbel = true\n", 2, "no setting `notify.bel`"),
        ("voice = 3\n", 1, "`voice` must be a table"),
        ("[keys]\nstop = 3\n", 2, "`keys.stop` must be a text"),
        ('server = "ws://host"\n', 1, "server_url"),
        ('problems = ["x"]\n', 1, "no setting `problems`"),
        ('"\\u001b]0;evil" = 1\n', 1, "no setting `\ufffd]0;evil`"),
    ],
)
def test_what_is_broken_is_named_and_the_default_used(
    environ: dict[str, str], text: str, line: int, words: str
) -> None:
    path = write(environ, text)
    settings = load({}, environ)
    (problem,) = settings.problems
    assert problem.startswith(f"{path}, line {line}: ")
    assert words in problem
    assert (settings.voice, settings.notify) == (config.Voice(), config.Notify())
    assert settings.user == "ada"


def test_what_is_right_beside_it_is_used(environ: dict[str, str]) -> None:
    write(environ, '[voice]\nrate = "fast"\nlanguage = "de"\n')
    settings = load({}, environ)
    assert settings.voice == config.Voice(language="de")
    assert len(settings.problems) == 1


def test_a_file_that_is_no_text_is_named(environ: dict[str, str]) -> None:
    Path(environ["TUI_AGENT_CONFIG"]).write_bytes(b"\xff\xfe")
    assert "cannot be read" in load({}, environ).problems[0]


def test_a_bad_variable_is_named(environ: dict[str, str]) -> None:
    environ |= {"TUI_AGENT_ROOM": "No Room", "TUI_AGENT_PLAIN": "yes please", "TUI_AGENT_VOICE_RATE": "200"}
    settings = load({}, environ)
    assert [problem.split()[2] for problem in settings.problems] == ["TUI_AGENT_ROOM", "TUI_AGENT_PLAIN"]
    assert (settings.room, settings.plain, settings.voice.rate) == ("main", False, 200)


@given(st.text(max_size=80))
def test_any_file_leads_to_settings(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_text(text, encoding="utf-8", errors="replace", newline="")
        settings = load({}, {"TUI_AGENT_CONFIG": str(path), "LOGNAME": "ada"})
        assert settings.room == "main"
        assert all(problem.isprintable() for problem in settings.problems)


@given(st.text(max_size=60))
def test_any_login_name_becomes_a_user_name(name: str) -> None:
    assert is_user_name(default_user({"LOGNAME": name, "USER": "x"}))


@pytest.mark.parametrize(
    ("name", "fitted"), [("Ada", "ada"), ("ada.lovelace", "ada-lovelace"), ("Ünal", "nal"), ("_", "me")]
)
def test_login_names_are_made_to_fit(name: str, fitted: str) -> None:
    assert default_user({"LOGNAME": name}) == fitted


def test_the_short_way_to_the_folders_is_platformdirs_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for value in ("", str(tmp_path)):
        monkeypatch.setenv("XDG_STATE_HOME", value)
        monkeypatch.setenv("XDG_CONFIG_HOME", value)
        monkeypatch.delenv("TUI_AGENT_CONFIG", raising=False)
        assert paths.state_folder() == Path(platformdirs.user_state_dir("tui-agent", appauthor=False))
        assert paths.config_file().parent == Path(platformdirs.user_config_dir("tui-agent", appauthor=False))
