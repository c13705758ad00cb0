"""The engine that is always there hears a real voice, through the whole path."""

import difflib
import re

import pytest
from openai import BadRequestError

from gateway.engine.sphinx import SphinxSpec
from tests.support import TESTS, live_server

JFK = TESTS / "samples" / "jfk.flac"
SAID = re.findall(
    r"\w+",
    "and so my fellow americans ask not what your country can do for you "
    "ask what you can do for your country",
)


def test_a_real_voice() -> None:
    """Many words of a president's speech come back, streamed and plain alike, each with its probability."""
    with live_server([SphinxSpec()]) as server:
        client = server.openai
        plain = client.audio.transcriptions.create(file=JFK, model="whisper-1").text
        events = list(
            client.audio.transcriptions.create(
                file=JFK, model="gpt-4o-transcribe", stream=True, include=["logprobs"]
            )
        )
        with pytest.raises(BadRequestError) as caught:
            client.audio.transcriptions.create(file=JFK, model="whisper-1", language="de")

    heard = re.findall(r"\w+", plain.lower())
    matched = sum(block.size for block in difflib.SequenceMatcher(None, SAID, heard).get_matching_blocks())
    assert matched >= len(SAID) * 0.4
    assert "".join(event.delta for event in events if event.type == "transcript.text.delta") == plain
    logprobs = [
        token.logprob or 0.0
        for event in events
        if event.type == "transcript.text.delta"
        for token in event.logprobs or []
    ]
    assert len(logprobs) == len(heard)
    assert all(logprob <= 0 for logprob in logprobs)
    assert caught.value.param == "language"
    assert "pocketsphinx" in caught.value.message
