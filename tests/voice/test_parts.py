"""Speech and model by themselves, in processes of their own: rate, pitch, voice, volume; which processor is chosen."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from tests.voice.sound import MODEL

SPEECH = """
import json, sys
from tui_agent.voice.speech import Speech
from tui_agent.voice.troubles import VoiceFault
from tui_agent.voice.wire import Configure
import array
speech, found = Speech(), []
for settings in json.loads(sys.argv[1]):
    fault = ""
    try:
        speech.configure(Configure(**settings))
    except VoiceFault as problem:
        fault = str(problem)
    pcm, rate = speech.render("The quick brown fox jumps over the lazy dog.")
    samples = array.array("h", pcm)
    crossings = sum(a < 0 <= b for a, b in zip(samples, samples[1:]))
    loudest = max(map(abs, samples))
    found.append({"s": len(pcm) / 2 / rate, "rate": rate, "peak": loudest, "pitch": crossings, "fault": fault})
print("\\n" + json.dumps(found))
"""
MODELS = """
import sys
import ctranslate2
ctranslate2.get_cuda_device_count = lambda: 1  # a card is there, its libraries are not
from tui_agent.voice.recognizer import Recognizer
print(Recognizer(sys.argv[1]).device, Recognizer(sys.argv[1], may_use_gpu=False).device)
"""


async def python(script: str, argument: str) -> str:
    """The last line that a script prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", script, argument, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode().rstrip().split("\n")[-1]


async def rendered(*settings: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(await python(SPEECH, json.dumps(settings)))
    return found


async def test_rate_and_volume_are_heard_and_each_sentence_is_rendered_once() -> None:
    usual, fast, slow, soft, again = await rendered({}, {"rate": 350}, {"rate": 90}, {"volume": 0.2}, {})
    assert usual["rate"] == 22_050
    assert 2 < usual["s"] < 5
    assert fast["s"] < 0.7 * usual["s"] < 0.7 * slow["s"] * 0.7
    assert soft["peak"] < 0.4 * usual["peak"]
    assert abs(again["s"] - usual["s"]) < 0.01


async def test_a_voice_is_chosen_by_name_or_language_and_the_language_has_one() -> None:
    english, german, by_language, pitched, unknown = await rendered(
        {"language": "en"}, {"voice": "de"}, {"language": "de"}, {"language": "en", "pitch": 95}, {"voice": "nobody"}
    )
    assert abs(german["s"] - by_language["s"]) < 0.01
    assert abs(german["s"] - english["s"]) > 0.05
    assert pitched["pitch"] != english["pitch"]
    assert unknown["fault"] == "No voice is called “nobody”. Choose one: /voice voice"
    assert unknown["s"] > 1


async def test_a_gpu_whose_libraries_are_missing_gives_way_to_the_processor() -> None:
    assert await python(MODELS, str(MODEL)) == "cpu cpu"
