"""Which agent answers: a pure decision from the setting and the environment.

It is made once, at the start. A real model that fails later is never replaced by the demo.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

AgentSetting = Literal["auto", "anthropic", "demo"]
KEY_VARIABLE: Final = "ANTHROPIC_API_KEY"
URL_VARIABLE: Final = "ANTHROPIC_BASE_URL"


@dataclass(frozen=True, slots=True)
class Choice:
    """The agent to open. The key stays out of every repr, so out of logs and crash screens."""

    agent: Literal["anthropic", "demo"]
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)


class NoAgent(ValueError):
    """The setting asks for something that the environment does not give. `message` is for a person."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def choose(setting: AgentSetting, environment: Mapping[str, str]) -> Choice:
    """The agent for `--agent setting`; `auto` takes the real one where there is a key or a base URL. Raises NoAgent."""
    if setting == "demo":
        return Choice("demo")
    api_key = environment.get(KEY_VARIABLE, "").strip() or None
    base_url = environment.get(URL_VARIABLE, "").strip() or None
    if base_url is not None and not base_url.startswith(("http://", "https://")):
        raise NoAgent(f"{URL_VARIABLE} must start with http:// or https://; correct it and start again.")
    if api_key is not None and not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
        raise NoAgent(f"{KEY_VARIABLE} holds characters that no key has; copy the key again and start again.")
    if api_key is not None or base_url is not None:
        return Choice("anthropic", base_url, api_key)
    if setting == "anthropic":
        raise NoAgent(f"--agent anthropic needs a key: export {KEY_VARIABLE}=…, or {URL_VARIABLE}=… for a local model.")
    return Choice("demo")
