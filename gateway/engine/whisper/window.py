"""One window of each row: prompts, tokens, segments, then words and log-probabilities where asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gateway.engine.api import RowFailed
from gateway.engine.whisper.alignment import Alignment, Written, align, before_last_word, words_of
from gateway.engine.whisper.decoder import FLOOR_LOGPROB
from gateway.engine.whisper.decoding import Decode, Decoded, Prompt, build_prompt
from gateway.engine.whisper.row import FRAMES_PER_SECOND
from gateway.engine.whisper.segments import Piece, Split, split_window
from gateway.transcript import Segment, Word
from gateway.transcript.tokens import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.engine.whisper.decoder import Decoder
    from gateway.engine.whisper.features import Encoded
    from gateway.engine.whisper.row import Row
    from gateway.engine.whisper.vocabulary import Vocabulary

MAX_NO_SPEECH_FOR_TEXT = 0.5
"""Of a window whose decode reads prompt and keywords. Base gave 0.49 at most on 126 chunks of speech in ten
languages, 0.52 at least on eleven kinds of sound without."""

MIN_LANGUAGE_PROBABILITY = 0.5
"""A language that a shortened context gives less surely is detected again in full."""


@dataclass(slots=True)
class _Window:
    """What the present window of a row gave. ``logprobs`` has one value per text token, or is empty.

    Attributes:
        at: The row's place in the encoded batch.
    """

    at: int
    row: Row
    prompt: Prompt
    decoded: Decoded
    split: Split
    alignment: Alignment | None = None
    logprobs: Sequence[float] = ()

    @property
    def text(self) -> tuple[int, ...]:
        return tuple(token for piece in self.split.pieces for token in piece.tokens)


class WindowDecoder:
    """Decodes the present window of each row of a batch, and moves the rows on."""

    def __init__(
        self, model: Any, vocabulary: Vocabulary, decoder: Decoder, *, aligns: bool, beam_size: int
    ) -> None:
        """Takes the loaded model's parts.

        Args:
            model: A `ctranslate2.models.Whisper`.
            aligns: The model's config names its alignment heads.
            beam_size: Where the options name none.
        """
        self._model = model
        self._vocabulary = vocabulary
        self._decoder = decoder
        self._aligns = aligns
        self._beam_size = beam_size

    def decode(self, encoded: Encoded, rows: Sequence[Row], *, last: bool) -> list[Row]:
        """Adds segments to the rows and moves their ``seek``.

        Rows that look bad and have a pause are halved there, and left to be decoded half by half. What
        repeats itself by right, or had too much in it, is well then.

        Args:
            encoded: The rows' present windows.
            last: No further window will be decoded: keep unfinished text.

        Returns:
            Rows left as they were, to be decoded in full: their context was shortened, and it shows.
        """
        prompts = self._prompts(encoded, rows)
        decoded = self._decoder.decode(
            encoded,
            [
                Decode(
                    prompt=prompt,
                    beam_size=row.options.beam_size or self._beam_size,
                    frames=row.window.shape[1],
                    temperature=row.options.temperature,
                    seed=row.seed,
                    most_tokens=row.request.most_tokens,
                    retry=row.request.retry and not encoded.shortened and (last or not row.halves),
                )
                for row, prompt in zip(rows, prompts, strict=True)
            ],
        )
        windows, doubtful = [], []
        for at, (row, prompt, one) in enumerate(zip(rows, prompts, decoded, strict=True)):
            if not math.isfinite(one.avg_logprob):
                row.failure = RowFailed("The decoder's scores are not finite")
            elif encoded.shortened and row.request.retry and self._is_doubtful(row, prompt, one):
                doubtful.append(row)
            elif row.request.retry and row.halves and not (one.acceptable or last or one.temperature):
                row.halve()
            else:
                split = self._split(row, one, last=last or not prompt.timestamps)
                windows.append(_Window(at, row, prompt, one, split))
        self._align(encoded, windows)
        self._force(encoded, windows)
        for window in windows:
            window.row.prompt_tokens = window.prompt.text_tokens
            window.row.segments.extend(self._segments(window))
            window.row.advance(window.split.advance)
        return doubtful

    def _is_doubtful(self, row: Row, prompt: Prompt, decoded: Decoded) -> bool:
        guessed = row.language_probability < MIN_LANGUAGE_PROBABILITY and row.seek == 0
        return guessed or decoded.is_doubtful(
            frames=row.window.shape[1],
            timestamp_begin=self._vocabulary.timestamp_begin,
            timestamps=prompt.timestamps,
        )

    def _prompts(self, encoded: Encoded, rows: Sequence[Row]) -> list[Prompt]:
        """Each row's; without the client's text where nobody seems to speak: it would come out as speech."""
        prompts = [self._prompt(row) for row in rows]
        with_text = [at for at, prompt in enumerate(prompts) if prompt.text_tokens]
        plain = [prompts[at].without_text for at in with_text]
        for at, prompt, probability in zip(
            with_text, plain, self._decoder.no_speech(encoded, with_text, plain), strict=True
        ):
            if probability > MAX_NO_SPEECH_FOR_TEXT:
                prompts[at] = prompt
        return prompts

    def _prompt(self, row: Row, *, timestamps: bool | None = None) -> Prompt:
        timestamps = row.request.retry if timestamps is None else timestamps
        return build_prompt(self._vocabulary, row.options, language=row.spoken, timestamps=timestamps)

    def _split(self, row: Row, decoded: Decoded, *, last: bool) -> Split:
        frames = row.window.shape[1]
        if decoded.silent:
            return Split((), frames)
        return split_window(
            decoded.tokens,
            eot=self._vocabulary.eot,
            timestamp_begin=self._vocabulary.timestamp_begin,
            frames=frames,
            cut=decoded.cut,
            last=last,
            shares=row.shares_end,
        )

    def _align(self, encoded: Encoded, windows: Sequence[_Window]) -> None:
        """Aligns for words and log-probabilities, and where nothing else tells how far a text reaches."""
        if not self._aligns:
            return
        written = [
            Written(
                window.at, window.text, window.row.window.shape[1], window.row.spoken, window.row.options.task
            )
            for window in windows
            if window.text and (window.row.options.words or window.row.options.logprobs or window.split.open)
        ]
        by_row = {window.at: window for window in windows}
        for at, alignment in align(self._model, self._vocabulary, encoded, written).items():
            window = by_row[at]
            window.alignment = alignment
            if window.split.open:
                window.split = self._closed(window, alignment)
            if window.row.options.logprobs:
                window.logprobs = [
                    max(math.log(p), FLOOR_LOGPROB) if p > 0 else FLOOR_LOGPROB
                    for p in alignment.probabilities[: len(window.text)]
                ]

    def _closed(self, window: _Window, alignment: Alignment) -> Split:
        """Ends an open text before its last word, from where the next window goes on."""
        (piece,) = window.split.pieces
        tokenizer = self._vocabulary.tokenizer(window.row.spoken, window.row.options.task)
        kept = before_last_word(piece.tokens, alignment, tokenizer)
        if kept is None:
            return replace(window.split, open=False)
        tokens, seconds = kept
        end = round(seconds * FRAMES_PER_SECOND)
        return Split((Piece(min(piece.start, end), end, tokens),), advance=end)

    def _force(self, encoded: Encoded, windows: Sequence[_Window]) -> None:
        """Log-probabilities for models that cannot align: their text is forced upon them once more."""
        if self._aligns:
            return
        wanted = [window for window in windows if window.row.options.logprobs and window.text]
        forced = self._decoder.forced_logprobs(
            encoded,
            [window.at for window in wanted],
            [self._prompt(window.row, timestamps=False) for window in wanted],
            [window.text for window in wanted],
        )
        for window, logprobs in zip(wanted, forced, strict=True):
            window.logprobs = logprobs

    def _segments(self, window: _Window) -> Iterable[Segment]:
        row, decoded = window.row, window.decoded
        offset = 0
        for piece in window.split.pieces:
            end = offset + len(piece.tokens)
            asked = window.logprobs[offset:end]
            logprobs: Sequence[float | None] = asked or [None] * len(piece.tokens)
            tokens = self._vocabulary.tokens(piece.tokens, logprobs)
            text = text_of(tokens)
            if text.strip():
                yield Segment(
                    start=row.at(piece.start / FRAMES_PER_SECOND),
                    end=row.at(piece.end / FRAMES_PER_SECOND),
                    text=text,
                    tokens=tokens,
                    words=self._words(window, piece, offset),
                    avg_logprob=decoded.avg_logprob,
                    compression_ratio=decoded.compression_ratio,
                    no_speech_prob=decoded.no_speech_prob,
                    temperature=decoded.temperature,
                )
            offset = end

    def _words(self, window: _Window, piece: Piece, offset: int) -> tuple[Word, ...]:
        row = window.row
        if not row.options.words or window.alignment is None:
            return ()
        words = words_of(
            piece.tokens,
            window.alignment,
            offset=offset,
            start=piece.start / FRAMES_PER_SECOND,
            end=piece.end / FRAMES_PER_SECOND,
            tokenizer=self._vocabulary.tokenizer(row.spoken, row.options.task),
            vocabulary=self._vocabulary,
        )
        return tuple(replace(word, start=row.at(word.start), end=row.at(word.end)) for word in words)
