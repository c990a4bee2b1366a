"""Which agent answers, by setting and environment."""

import pytest

from server.agents.choose import Choice, NoAgent, choose

KEY = {"ANTHROPIC_API_KEY": "sk-ant-secret"}
URL = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:11434"}


@pytest.mark.parametrize(
    ("setting", "environment", "expected"),
    [
        ("auto", {}, Choice("demo")),
        ("auto", {"ANTHROPIC_API_KEY": "  "}, Choice("demo")),
        ("auto", KEY, Choice("anthropic", None, "sk-ant-secret")),
        ("auto", URL, Choice("anthropic", "http://127.0.0.1:11434", None)),
        ("anthropic", KEY | URL, Choice("anthropic", "http://127.0.0.1:11434", "sk-ant-secret")),
        ("demo", KEY | URL, Choice("demo")),
    ],
)
def test_the_agent_follows_from_the_setting_and_the_environment(setting, environment, expected):
    assert choose(setting, environment) == expected


def test_anthropic_without_key_or_url_is_refused_and_never_becomes_the_demo():
    with pytest.raises(NoAgent) as refused:
        choose("anthropic", {})
    assert "export ANTHROPIC_API_KEY" in refused.value.message


@pytest.mark.parametrize(
    "environment",
    [{"ANTHROPIC_BASE_URL": "localhost:11434"}, {"ANTHROPIC_API_KEY": "sk\nant"}, {"ANTHROPIC_API_KEY": "sk-…"}],
)
def test_a_broken_value_is_named_and_not_repeated(environment):
    [(name, value)] = environment.items()
    with pytest.raises(NoAgent) as refused:
        choose("auto", environment)
    assert name in refused.value.message
    assert value not in refused.value.message


def test_the_key_is_in_no_repr():
    assert "secret" not in repr(choose("auto", KEY))
