"""Encoder output in, tokens out: beam search, and a second one for texts that repeat themselves."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from gateway.engine.whisper.decoding import Decode, Decoded, compression_ratio, draw
from gateway.engine.whisper.row import FRAMES_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from numpy.typing import NDArray

    from gateway.engine.whisper.decoding import Prompt
    from gateway.engine.whisper.features import Encoded
    from gateway.engine.whisper.vocabulary import Vocabulary

REPETITION_PENALTY = 1.1
"""Of the second search. On noise and babble it ended as many loops as three samples at a temperature of 0.4
or five at 0.6, and always the same. Improbable texts stayed as wrong by any of them, so they are kept."""

DRAWN_BEAM = 5
"""The least hypotheses that a temperature above 0 draws from."""

MAX_INITIAL_TIMESTAMP = 50
"""The first timestamp is at most 1.0 s."""

POSITIONS = 448
"""Text positions of every published Whisper model."""

BASE_TOKENS, TOKENS_PER_SECOND = 32, 24
"""A text may have so many tokens, and so many more for each second of its audio: without that a loop over
half a second goes on for 224."""

FLOOR_LOGPROB = -100.0
"""Stands for a probability of zero in clients' JSON, which knows no infinity."""


class Decoder:
    """Decodes rows of a batch, as few calls as CTranslate2's rules allow."""

    def __init__(self, model: Any, vocabulary: Vocabulary, *, max_tokens: int = POSITIONS // 2) -> None:
        """Takes a loaded model.

        Args:
            model: A `ctranslate2.models.Whisper`.
            max_tokens: The most tokens of one window; CTranslate2 itself stops at 224.
        """
        self._model = model
        self._vocabulary = vocabulary
        self._max_tokens = max_tokens

    def decode(self, encoded: Encoded, rows: Sequence[Decode]) -> list[Decoded]:
        """Decodes each row, and once more those that repeat themselves.

        No row costs more than three times its first search: the second text is at most twice as long. Where
        it repeats itself, too, the first stays.
        """
        results = self._search(encoded, range(len(rows)), rows, [self._limit(row) for row in rows])
        again = [
            at
            for at, (row, one) in enumerate(zip(rows, results, strict=True))
            if row.retry and one.repetitive
        ]
        retried = self._search(
            encoded,
            again,
            [rows[at] for at in again],
            [min(self._limit(rows[at]), 2 * len(results[at].tokens)) for at in again],
            repetition_penalty=REPETITION_PENALTY,
        )
        for at, second in zip(again, retried, strict=True):
            if not second.repetitive:
                results[at] = second
        return results

    def no_speech(self, encoded: Encoded, rows: Sequence[int], prompts: Sequence[Prompt]) -> list[float]:
        """How probably nobody speaks in rows of the batch: a step each. Text in the prompts would bend it."""
        answer = [0.0] * len(rows)
        for members in _grouped(range(len(rows)), lambda at: _shape(prompts[at])):
            results = self._generate(
                encoded.pick([rows[at] for at in members]),
                [[*prompts[at].head] for at in members],
                max_length=_total_length(prompts[members[0]], 1),
            )
            for at, result in zip(members, results, strict=True):
                answer[at] = result.no_speech_prob
        return answer

    def forced_logprobs(
        self, encoded: Encoded, rows: Sequence[int], prompts: Sequence[Prompt], texts: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """Log-probability of every token of the texts, for models that cannot align.

        The texts are forced after the prompts, which are without timestamps: CTranslate2's rules for those do
        not look at forced tokens. This costs as much as a greedy decode, `align()` a quarter of it.
        """
        answer: list[list[float]] = [[] for _ in rows]
        for members in _grouped(range(len(rows)), lambda at: _shape(prompts[at])):
            results = self._generate(
                encoded.pick([rows[at] for at in members]),
                [[*prompts[at].head, *texts[at]] for at in members],
                max_length=_total_length(prompts[members[0]], max(len(texts[at]) for at in members)),
                return_logits_vocab=True,
            )
            for at, result in zip(members, results, strict=True):
                answer[at] = [_logprob(result.logits[0][step], token) for step, token in enumerate(texts[at])]
        return answer

    def _search(
        self,
        encoded: Encoded,
        indexes: Sequence[int],
        rows: Sequence[Decode],
        limits: Sequence[int],
        **how: Any,
    ) -> list[Decoded]:
        """Decodes rows of the batch, as many in a call as may share one, each to its limit of tokens."""
        answer: dict[int, Decoded] = {}
        for members in _grouped(range(len(rows)), lambda at: _call(rows[at])):
            beam_size, drawn = _beam(rows[members[0]])
            results = self._generate(
                encoded.pick([indexes[at] for at in members]),
                [[*rows[at].prompt.head] for at in members],
                max_length=_total_length(rows[members[0]].prompt, max(limits[at] for at in members)),
                beam_size=beam_size,
                num_hypotheses=beam_size if drawn else 1,
                **how,
            )
            for at, result in zip(members, results, strict=True):
                hypotheses = self._hypotheses(result, limits[at], rows[at].temperature)
                answer[at] = draw(hypotheses, rows[at].temperature, rows[at].seed) if drawn else hypotheses[0]
        return [answer[at] for at in range(len(rows))]

    def _generate(
        self, features: Any, starts: list[list[int]], *, beam_size: int = 1, **how: Any
    ) -> list[Any]:
        return list(
            self._model.generate(
                features,
                starts,
                beam_size=beam_size,
                return_scores=True,
                return_no_speech_prob=True,
                suppress_blank=True,
                suppress_tokens=self._vocabulary.suppressed,
                max_initial_timestamp_index=MAX_INITIAL_TIMESTAMP,
                **how,
            )
        )

    def _limit(self, row: Decode) -> int:
        prompt = row.prompt
        plausible = BASE_TOKENS + TOKENS_PER_SECOND * row.frames // FRAMES_PER_SECOND
        if row.most_tokens is not None:
            plausible = min(plausible, row.most_tokens)
        return min(self._max_tokens, plausible, POSITIONS // 2, POSITIONS - len(prompt.head))

    def _hypotheses(self, result: Any, limit: int, temperature: float) -> list[Decoded]:
        hypotheses = []
        for ids, score in zip(result.sequences_ids, result.scores, strict=True):
            tokens = ids[:limit]
            text = self._vocabulary.text([token for token in tokens if self._vocabulary.is_text(token)])
            hypotheses.append(
                Decoded(
                    tokens=tuple(tokens),
                    # CTranslate2 divides the sum by the length; Whisper's mean counts the end token too.
                    avg_logprob=score * len(tokens) / (len(tokens) + 1),
                    no_speech_prob=result.no_speech_prob,
                    compression_ratio=compression_ratio(text),
                    temperature=temperature,
                    cut=len(tokens) >= limit,
                )
            )
        return hypotheses


def _shape(prompt: Prompt) -> tuple[int, int]:
    """What CTranslate2 demands to be the same in all rows of a call."""
    return prompt.start, len(prompt.head) - prompt.start


def _beam(row: Decode) -> tuple[int, bool]:
    """The beam, and whether one of its hypotheses is drawn."""
    drawn = row.temperature > 0
    return max(row.beam_size, DRAWN_BEAM if drawn else 1), drawn


def _call(row: Decode) -> Hashable:
    return _shape(row.prompt), _beam(row)


def _grouped(indexes: Iterable[int], key: Any) -> list[list[int]]:
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for index in indexes:
        groups[key(index)].append(index)
    return list(groups.values())


def _total_length(prompt: Prompt, steps: int) -> int:
    """``max_length`` for a number of steps: CTranslate2 takes min(half of it, what the prompt leaves)."""
    return min(POSITIONS, max(2 * steps, len(prompt.head) + steps))


def host_logits(view: Any) -> NDArray[np.float32]:
    """One step's logits of a call, of any device and float type; suppressed tokens become minus infinity."""
    import ctranslate2  # noqa: PLC0415 - a heavy import, workers only

    if view.dtype != ctranslate2.DataType.float32:
        view = view.to(ctranslate2.DataType.float32)
    if view.device != "cpu":
        view = view.to_device(ctranslate2.Device.cpu)
    logits: NDArray[np.float32] = np.array(view, dtype=np.float32).reshape(-1)
    # CTranslate2 writes the lowest number of its type; float16's is -65504.
    logits[logits < -6e4] = -np.inf
    return logits


def _logprob(view: Any, token: int) -> float:
    logits = host_logits(view)
    peak = logits.max()
    value = float(logits[token] - peak - math.log(np.exp(logits - peak).sum()))
    return max(value, FLOOR_LOGPROB)
