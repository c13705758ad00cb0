"""Sampling that repeats: tokens drawn here, from the model's own probabilities, with a generator per row.

CTranslate2 seeds its generator once per worker thread and all rows of a call draw from it in turn, so a seed
set there repeats nothing. Here a call forces the tokens drawn so far, continues greedily and returns the
logits of every step. The row walks along that continuation drawing at each step; as long as it draws what is
there, the next step's logits hold; where it draws otherwise, another call forces the new token. So the text
is sampled from the softmax at the given temperature, at the cost of one greedy decode per deviation.

Divergence from Whisper: a timestamp's value is always its most probable one, as random times serve nobody and
would be most of the deviations; and after so many deviations the rest is decoded greedily.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gateway.engine.whisper.decoding import Prompt
    from gateway.engine.whisper.vocabulary import Vocabulary

MAX_INITIAL_TIMESTAMP = 50
"""The first timestamp is at most 1.0 s."""

LOOKAHEAD_TOKENS = 32
"""Steps a call continues beyond the forced tokens; about the length of an utterance."""


def apply_timestamp_rules(
    logits: NDArray[np.float32],
    tokens: Sequence[int],
    *,
    eot: int,
    no_timestamps: int,
    max_initial: int = MAX_INITIAL_TIMESTAMP,
) -> None:
    """Sets the logits of tokens that may not follow to minus infinity, given what was written so far.

    As Whisper's own ``ApplyTimestampRules``. CTranslate2 applies the same, but not to forced tokens, which
    are all but the last few here.
    """
    begin = no_timestamps + 1
    logits[no_timestamps] = -np.inf
    if not tokens:
        logits[:begin] = -np.inf
        logits[begin + max_initial + 1 :] = -np.inf
        return
    if tokens[-1] >= begin:
        if len(tokens) == 1 or tokens[-2] >= begin:
            logits[begin:] = -np.inf
        else:
            logits[:eot] = -np.inf
            logits[begin : tokens[-1]] = -np.inf
    else:
        latest = next((token for token in reversed(tokens) if token >= begin), None)
        if latest is not None:
            logits[begin : latest + 1] = -np.inf
    stamps = logits[begin:]
    peak = stamps.max()
    if np.isfinite(peak) and peak + np.log(np.exp(stamps - peak).sum()) > logits[:begin].max():
        logits[:begin] = -np.inf


@dataclass(slots=True)
class SampledRow:
    """One row on its way.

    Attributes:
        limit: The most tokens.
        max_deviations: After so many the rest is taken greedily, or a hopeless row would hold up its mates.
        tokens: Drawn so far, without the end token; begins with the forced prefix.
        logprob: Sum of the natural log-probabilities (at temperature 1) of what was drawn, end included.
        no_speech_prob: Known after the first call; the same in each.
        cut: The length limit came before the end token.
    """

    prompt: Prompt
    temperature: float
    generator: np.random.Generator
    limit: int
    max_deviations: int
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    no_speech_prob: float = 0.0
    deviations: int = 0
    done: bool = False
    cut: bool = False

    def draw(self, logits: NDArray[np.float32], timestamp_begin: int) -> int:
        """Draws one token by one uniform number, and counts its log-probability."""
        logprobs = logits - logits.max()
        total = np.log(np.exp(logprobs).sum(dtype=np.float64))
        token = int(logprobs.argmax())
        uniform = self.generator.random()
        if self.deviations < self.max_deviations:
            weights = np.cumsum(np.exp(logprobs / self.temperature), dtype=np.float64)
            # side="right" never picks a token of no weight, nor does a uniform number below 1 reach the end.
            token = int(np.searchsorted(weights, uniform * weights[-1], side="right"))
        if token >= timestamp_begin:
            token = timestamp_begin + int(logprobs[timestamp_begin:].argmax())
        self.logprob += float(logprobs[token] - total)
        return token


def follow(row: SampledRow, result: Any, vocabulary: Vocabulary) -> None:
    """Walks along one call's result until the row ends or deviates; at least one token further.

    Args:
        result: A `WhisperGenerationResult` of a call that forced ``row.tokens``, with logits.
    """
    written = result.sequences_ids[0]
    known = len(row.tokens)
    for position in range(known, len(result.logits[0])):
        if position == known + 1 and known and written[known] >= vocabulary.timestamp_begin:
            # CTranslate2 takes a timestamp right after forced tokens for the first of all, and wants text.
            return
        logits = host_logits(result.logits[0][position])
        if row.prompt.timestamps:
            apply_timestamp_rules(
                logits, row.tokens, eot=vocabulary.eot, no_timestamps=vocabulary.no_timestamps
            )
        token = row.draw(logits, vocabulary.timestamp_begin)
        if token == vocabulary.eot:
            row.done = True
            return
        row.tokens.append(token)
        if len(row.tokens) >= row.limit:
            row.done = row.cut = True
            return
        if position >= len(written) or token != written[position]:
            row.deviations += 1
            return


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
