"""What a row's decoder reads before it writes: keywords and prompt, language, task, and a forced prefix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.engine.api import DecodeOptions
    from gateway.engine.whisper.vocabulary import Vocabulary

MAX_TEXT_TOKENS = 223
"""Half of Whisper's 448 positions, less ``<|startofprev|>``: what its training gave as previous text."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The start of one row's decode.

    Attributes:
        head: From ``<|startofprev|>`` (where there is text) up to the last task token.
        prefix: Text tokens the answer must begin with. Only without timestamps: CTranslate2's timestamp
            rules do not look at forced tokens.
        text_tokens: How many tokens of keywords and prompt ``head`` holds, padding not counted.
        start: Position of ``<|startoftranscript|>``: one call demands the same in all its rows.
        timestamps: The decode writes timestamps.
    """

    head: tuple[int, ...]
    prefix: tuple[int, ...]
    text_tokens: int
    start: int
    timestamps: bool


def build_prompt(
    vocabulary: Vocabulary,
    options: DecodeOptions,
    *,
    language: str,
    prefix: Sequence[int] = (),
    lengths: Sequence[int] = (),
) -> Prompt:
    """Builds the start of one row's decode.

    Args:
        lengths: Lengths to which the text before the start token is padded, ascending; empty pads nothing,
            and rows whose texts differ in length are decoded in calls of their own.
    """
    text = prompt_text(vocabulary, options)
    before = [vocabulary.sot_prev, *text] if text else []
    if text:
        room = next((length for length in lengths if length >= len(text)), len(text)) - len(text)
        before = [vocabulary.sot_prev] * room + before
    head = [*before, *vocabulary.tokenizer(language, options.task).sot_sequence]
    if prefix:
        head.append(vocabulary.no_timestamps)
    return Prompt(tuple(head), tuple(prefix), len(text), len(before), timestamps=not prefix)


def prompt_text(vocabulary: Vocabulary, options: DecodeOptions) -> list[int]:
    """Keywords, then the prompt, so that what comes next to the transcript reads like its past.

    Keywords are kept from the first on and whole, in at most half of the room where there is a prompt too;
    of the prompt the end is kept, as OpenAI does.
    """
    past = (options.prompt or "").strip()
    prompt = vocabulary.encode(" " + past) if past else []
    room = MAX_TEXT_TOKENS // 2 if prompt else MAX_TEXT_TOKENS
    text: list[int] = []
    for keyword in filter(None, (keyword.strip() for keyword in options.keywords)):
        more = vocabulary.encode(", " + keyword if text else " " + keyword)
        if len(text) + len(more) > room:
            break
        text += more
    return text + prompt[-(MAX_TEXT_TOKENS - len(text)) :]
