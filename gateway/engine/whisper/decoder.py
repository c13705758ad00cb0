"""Encoder output in, tokens out: beam search with Whisper's fallback to higher temperatures, row by row."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gateway.engine.whisper.decoding import Decode, Decoded, best_of, compression_ratio
from gateway.engine.whisper.sampling import (
    LOOKAHEAD_TOKENS,
    MAX_INITIAL_TIMESTAMP,
    SampledRow,
    follow,
    host_logits,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from gateway.engine.whisper.decoding import Prompt
    from gateway.engine.whisper.features import Encoded
    from gateway.engine.whisper.vocabulary import Vocabulary

FALLBACK_TEMPERATURES = ((0.2, 0.4), (0.6, 0.8, 1.0))
"""Tried in turn, but those of a group are decoded together: two large calls instead of five small ones."""

MAX_FALLBACK_DEVIATIONS = 6
"""Draws that differ from the greedy decode, and cost one each, before the rest is taken greedily."""

MAX_SAMPLED_ROWS = 8
"""Rows of one call that returns logits: each takes up to 46 MB (224 steps, 51 866 tokens, 4 bytes)."""

POSITIONS = 448
"""Text positions of every published Whisper model."""


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

    def decode(self, encoded: Encoded, rows: Sequence[Decode], *, fall_back: bool = True) -> list[Decoded]:
        """Decodes each row; those at temperature 0 whose result looks bad are tried again at higher ones.

        Where nothing is acceptable the most probable result is taken, among those that do not repeat
        themselves if there are any. Rows with a forced prefix are previews: they are not tried again.

        Args:
            fall_back: False tries no row again.
        """
        first = self._try(encoded, list(enumerate(rows)))
        tries = [[one] for one in first]
        for temperatures in FALLBACK_TEMPERATURES if fall_back else ():
            again = [
                # Seeded by the temperature alone: the same audio gives the same text, whoever its mates are.
                (
                    index,
                    replace(
                        row,
                        temperature=temperature,
                        seed=(round(temperature * 10),),
                        max_deviations=MAX_FALLBACK_DEVIATIONS,
                    ),
                )
                for index, row in enumerate(rows)
                if row.temperature == 0
                and row.retries
                and not row.prompt.prefix
                and not any(tried.acceptable for tried in tries[index])
                for temperature in temperatures
            ]
            if not again:
                break
            for (index, _), result in zip(again, self._try(encoded, again), strict=True):
                tries[index].append(result)
        return [best_of(tried) for tried in tries]

    def forced_logprobs(
        self, encoded: Encoded, rows: Sequence[int], prompts: Sequence[Prompt]
    ) -> list[list[float]]:
        """Log-probability of every token of the prompts' prefixes, for models that cannot align.

        This costs as much as a greedy decode, `align()` a quarter of it.
        """
        answer: list[list[float]] = [[] for _ in rows]
        for members in _grouped(range(len(rows)), lambda at: _shape(prompts[at])):
            results = self._generate(
                encoded.pick([rows[at] for at in members]),
                [[*prompts[at].head, *prompts[at].prefix] for at in members],
                max_length=_total_length(prompts[members[0]], max(len(prompts[at].prefix) for at in members)),
                return_logits_vocab=True,
            )
            for at, result in zip(members, results, strict=True):
                answer[at] = [
                    _logprob(result.logits[0][step], token) for step, token in enumerate(prompts[at].prefix)
                ]
        return answer

    def _try(self, encoded: Encoded, rows: Sequence[tuple[int, Decode]]) -> list[Decoded]:
        """Decodes once what is given as (row of the batch, how)."""
        results: dict[int, Decoded] = {}
        for members in _grouped(range(len(rows)), lambda at: _call(rows[at][1])):
            indexes, decodes = zip(*(rows[at] for at in members), strict=True)
            if decodes[0].temperature > 0 and decodes[0].seed is not None:
                decoded = self._sample(encoded, indexes, decodes)
            else:
                decoded = self._search(encoded, indexes, decodes)
            results.update(zip(members, decoded, strict=True))
        return [results[at] for at in range(len(rows))]

    def _search(self, encoded: Encoded, members: Sequence[int], rows: Sequence[Decode]) -> list[Decoded]:
        prompt, temperature = rows[0].prompt, rows[0].temperature
        limit = self._limit(prompt)
        how = (
            {"beam_size": 1, "sampling_topk": 0, "sampling_temperature": temperature}
            if temperature > 0
            else {"beam_size": rows[0].beam_size}
        )
        results = self._generate(
            encoded.pick(members),
            [[*row.prompt.head, *row.prompt.prefix] for row in rows],
            max_length=_total_length(prompt, limit),
            **how,
        )
        decoded = []
        for result in results:
            tokens = result.sequences_ids[0][:limit]
            # CTranslate2 divides the sum by the length; Whisper's mean counts the end token too.
            average = result.scores[0] * len(tokens) / (len(tokens) + 1)
            decoded.append(
                self._decoded(tokens, average, result.no_speech_prob, temperature, cut=len(tokens) >= limit)
            )
        return decoded

    def _sample(self, encoded: Encoded, members: Sequence[int], rows: Sequence[Decode]) -> list[Decoded]:
        sampled = [
            SampledRow(
                row.prompt,
                row.temperature,
                np.random.Generator(np.random.PCG64(row.seed)),
                limit=self._limit(row.prompt),
                max_deviations=row.max_deviations,
                tokens=list(row.prompt.prefix),
            )
            for row in rows
        ]
        while pending := [at for at, row in enumerate(sampled) if not row.done][:MAX_SAMPLED_ROWS]:
            steps = max(
                min(len(sampled[at].tokens) + LOOKAHEAD_TOKENS, sampled[at].limit + 1) for at in pending
            )
            results = self._generate(
                encoded.pick([members[at] for at in pending]),
                [[*sampled[at].prompt.head, *sampled[at].tokens] for at in pending],
                max_length=_total_length(rows[0].prompt, steps),
                return_logits_vocab=True,
            )
            for at, result in zip(pending, results, strict=True):
                sampled[at].no_speech_prob = result.no_speech_prob
                follow(sampled[at], result, self._vocabulary)
        return [
            self._decoded(
                row.tokens,
                row.logprob / (len(row.tokens) + 1),
                row.no_speech_prob,
                row.temperature,
                cut=row.cut,
            )
            for row in sampled
        ]

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

    def _limit(self, prompt: Prompt) -> int:
        return min(self._max_tokens, POSITIONS // 2, POSITIONS - len(prompt.head))

    def _decoded(
        self,
        tokens: Sequence[int],
        avg_logprob: float,
        no_speech_prob: float,
        temperature: float,
        *,
        cut: bool,
    ) -> Decoded:
        text = self._vocabulary.text([token for token in tokens if self._vocabulary.is_text(token)])
        return Decoded(
            tokens=tuple(tokens),
            avg_logprob=avg_logprob,
            no_speech_prob=no_speech_prob,
            compression_ratio=compression_ratio(text),
            temperature=temperature,
            cut=cut,
        )


def _shape(prompt: Prompt) -> tuple[int, int]:
    """What CTranslate2 demands to be the same in all rows of a call."""
    return prompt.start, len(prompt.head) - prompt.start


def _call(row: Decode) -> Hashable:
    if row.temperature > 0 and row.seed is not None:
        return _shape(row.prompt)  # drawn here: only the forced tokens differ
    return _shape(row.prompt), row.beam_size if row.temperature == 0 else 1, row.temperature


def _grouped(indexes: Iterable[int], key: Any) -> list[list[int]]:
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for index in indexes:
        groups[key(index)].append(index)
    return list(groups.values())


def _total_length(prompt: Prompt, steps: int) -> int:
    """``max_length`` for a number of steps: CTranslate2 takes min(half of it, what the prompt leaves)."""
    return min(POSITIONS, max(2 * steps, len(prompt.head) + steps))


def _logprob(view: Any, token: int) -> float:
    logits = host_logits(view)
    peak = logits.max()
    value = float(logits[token] - peak - math.log(np.exp(logits - peak).sum()))
    return max(value, FLOOR_LOGPROB)
