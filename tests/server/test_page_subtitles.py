"""The page cuts subtitles as the server does: its modules agree with `gateway.protocol` to the letter."""

import json
import random
import shutil
import subprocess
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from gateway.protocol.events import word_times
from gateway.protocol.pieces import width_of
from gateway.protocol.subtitles import SubtitleStyle, make_cues, to_srt, to_vtt
from gateway.transcript import Segment, Word
from tests.support import TESTS

PAGE = TESTS.parent / "gateway" / "server" / "page"

pytestmark = pytest.mark.slow

TEXTS = {
    "English": "And so, my fellow Americans, ask not what your country can do for you. Ask Dr. King what "
    "J. S. Bach and the others said -- it was 3 <b>o'clock</b> & late. “Really?” (Yes!) she said; a --> b.",
    "French": "Ça va ? « Oui », dit-il : « très bien ! » Où sont les autres ? Sur la table, avec nous.",
    "German": "Am 3. Oktober, bzw. danach, kamen Donaudampfschifffahrtselektrizitätenhauptbetriebsbeamte.",
    "Chinese": "大家好，今天我们来讨论一下“语音识别”的问题。你觉得怎么样？我觉得很好！",
    "Japanese": "ちょっと待ってください。「はい」と言って、東京へ行きました。カタカナも、っぽい。",
    "Thai": "สวัสดีครับ วันนี้เราจะพูดถึงเรื่องเสียงของคน และเทคโนโลยี",
    "Korean": "안녕하세요, 오늘은 음성 인식에 대해 이야기하겠습니다. 감사합니다.",
    "Hindi": "नमस्ते दुनिया। आज हम आवाज़ के बारे में बात करेंगे।",
    "Emoji": "Good 👍🏽 morning 👩‍👩‍👧 to all of you 🇩🇪 and é e\u0301 too.",
}


@pytest.fixture(scope="module")
def page_cuts(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    """What the page's modules make of segments, in Node."""
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed: the page's subtitles are not compared")
    folder = tmp_path_factory.mktemp("page")
    (folder / "package.json").write_text('{"type": "module"}')
    for name in ("subtitles.js", "pieces.js", "columns.js"):
        shutil.copy(PAGE / name, folder)

    def cut(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
        done = subprocess.run(
            ["node", TESTS / "node" / "subtitles.mjs", folder],
            input="\n".join(map(json.dumps, cases)),
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    return cut


def spoken(text: str, chance: random.Random, *, timed: bool, speaker: str | None) -> list[Segment]:
    """The text as segments, with words at random times: slow, fast, with pauses, some at one instant."""
    segments, words, at = [], list[Word](), chance.uniform(0, 3)
    begin, start = 0, at
    parts = text.split(" ")
    for number, part in enumerate(parts):
        length = chance.choice([0.0, 0.12, 0.3, 0.7])
        # Whisper's words hold the punctuation beside them; one of nothing else is not on the wire.
        if any(map(str.isalnum, part)):
            words.append(Word(at, at + length, part, 0.9))
        at += length + chance.choice([0.0, 0.0, 0.0, 0.3, 0.9])
        if chance.random() < 0.1 or number == len(parts) - 1:
            told = " " + " ".join(parts[begin : number + 1])
            segments.append(
                Segment(start, at, told, (), tuple(words) if timed else (), -0.1, 1.0, 0.0, 0.0, speaker)
            )
            words, begin, start = [], number + 1, at
    return segments


def on_the_wire(segments: list[Segment]) -> list[dict[str, Any]]:
    """As `transcript.text.segment` has them."""
    return [
        {
            "start": round(segment.start, 3),
            "end": round(segment.end, 3),
            "text": segment.text,
            "speaker": segment.speaker or "",
            "words": word_times(segment.words),
        }
        for segment in segments
    ]


@pytest.mark.parametrize("timed", [True, False])
def test_cues(page_cuts: Callable[[list[dict[str, Any]]], list[dict[str, Any]]], timed: bool) -> None:  # noqa: FBT001 - a parameter
    """In each language, with words and without, with speakers and without, at any speed."""
    chance = random.Random(5)
    cases = [
        spoken(text, chance, timed=timed, speaker=speaker)
        for text in TEXTS.values()
        for speaker in (None, "A", "Dr. Ann-Sophie O'Hara")
        for _ in range(8)
    ]
    made = page_cuts([{"segments": on_the_wire(case), "text": ""} for case in cases])

    for case, page in zip(cases, made, strict=True):
        cues = make_cues(case, SubtitleStyle())
        assert page["srt"] == to_srt(cues)
        assert page["vtt"] == to_vtt(cues)


def test_widths(page_cuts: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Of every character that all versions of Unicode at hand have had for years: wide, narrow or none."""
    blocks = [range(0x20, 0x3000), range(0x3000, 0xD800), range(0xF900, 0xFFFE), range(0x1F300, 0x1F650)]
    texts = [
        "".join(character for character in map(chr, block) if unicodedata.category(character)[0] != "C")
        for block in blocks
    ]
    made = page_cuts([{"segments": [], "text": text} for text in texts])

    # Node's Unicode may be newer than Python's: a few marks of rare scripts differ.
    for text, page in zip(texts, made, strict=True):
        assert abs(page["width"] - width_of(text)) <= 0.002 * len(text)
