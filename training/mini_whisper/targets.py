"""What the decoder should say to a scene, in Whisper's token format, and where it should look meanwhile."""

import random
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from training.mini_whisper.scene import Placed, Scene
from training.mini_whisper.tokenizer import TIMESTAMPS, Ids
from training.mini_whisper.vocab import DE, EN, ES, TRANSLATE, Sentence, sample_sentence

FRAMES_PER_SECOND = 50
"""Of the encoder's output: one frame per 20 ms, the step of the timestamps."""

NOT_TRAINED = -1
CLASSES = {word: i + 1 for i, word in enumerate(EN + DE + ES)}
"""Labels of the encoder's frames; 0 is silence."""


@dataclass(slots=True)
class Targets:
    """Three lists of equal length, one entry per decoder position.

    Attributes:
        tokens: What the decoder is given.
        wanted: The id it should give next, or `NOT_TRAINED`.
        spans: The encoder frames (first, behind last) an alignment head should look at, or None.
    """

    tokens: list[int] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)
    spans: list[tuple[int, int] | None] = field(default_factory=list)


class TargetMaker:
    """Writes the targets of scenes.

    Attributes:
        prompt_rate: How often a window has previous text.
        prompt_limit: The most tokens of it.
    """

    def __init__(self, ids: Ids, rng: random.Random) -> None:
        self.prompt_rate, self.prompt_limit = 0.3, 40
        self._ids, self._rng = ids, rng
        self._words = list(ids.word.values())

    def write(self, scene: Scene, offset: int, *, timed: bool, translate: bool) -> Targets:
        """The targets of a scene that lies ``offset`` encoder frames inside the 30 s window."""
        ids, rng = self._ids, self._rng
        out = Targets()
        if rng.random() < self.prompt_rate:
            limit = rng.choice((self.prompt_limit, self.prompt_limit // 3))
            out.tokens = [ids.prev, *self._previous_text(scene.lang, limit)]
        out.wanted = [NOT_TRAINED] * len(out.tokens)
        out.wanted += [ids.lang[scene.lang] if scene.placed else ids.nospeech, NOT_TRAINED]
        out.tokens += [ids.sot, ids.lang[scene.lang], ids.translate if translate else ids.transcribe]
        if not timed:
            out.tokens.append(ids.notime)
            out.wanted.append(NOT_TRAINED)
        out.spans = [None] * len(out.wanted)

        body, spans = self._body(scene, offset, timed=timed, translate=translate)
        out.wanted += body
        out.spans += spans
        out.tokens += body[:-1]
        self._disturb(out.tokens, body, offset, timed=timed)
        return out

    def _body(
        self, scene: Scene, offset: int, *, timed: bool, translate: bool
    ) -> tuple[list[int], list[tuple[int, int] | None]]:
        ids = self._ids
        content = min(scene.frames // 2, scene.samples // 320)
        body: list[int] = []
        spans: list[tuple[int, int] | None] = []
        for k, placed in enumerate(scene.placed):
            first, last = _frame(placed.start), _frame(placed.end)
            if timed:
                body.append(ids.ts0 + offset + first)
                spans.append((first - 1, first + 2))
            body += ids.sentence(_words_of(placed, translate=translate))
            for start, end in placed.utterance.times:
                begin = int((placed.start + start) * FRAMES_PER_SECOND)
                spans.append((begin, max(begin + 2, int((placed.start + end) * FRAMES_PER_SECOND))))
            following = scene.audible[k + 1].start if k + 1 < len(scene.audible) else content / 50
            spans.append(
                (last, max(last + 2, min(last + 25, int(following * FRAMES_PER_SECOND))))
            )  # full stop
            if timed:
                body.append(ids.ts0 + min(TIMESTAMPS - 1, offset + last))
                spans.append((last - 2, last + 1))
        if scene.crossing:
            first = _frame(scene.crossing.start)
            body.append(ids.ts0 + offset + first)
            spans.append((first - 1, first + 2))
        if not scene.placed and timed:
            body.append(ids.ts0 + offset)
            spans.append(None)
        body.append(ids.eot)
        silence = int(scene.placed[-1].end * FRAMES_PER_SECOND) + 10 if scene.placed else content
        spans.append((silence, content) if silence + 2 < content else None)
        return body, spans

    def _disturb(self, tokens: list[int], body: list[int], offset: int, *, timed: bool) -> None:
        """Puts mistakes into the decoder's input, so that it reads the audio rather than its own past."""
        ids, rng = self._ids, self._rng
        start = len(tokens) - len(body) + 1
        if rng.random() < 0.5:
            for k in range(start, len(tokens)):
                if tokens[k] < ids.eot and tokens[k] != ids.dot and rng.random() < 0.15:
                    tokens[k] = rng.choice(self._words)
        # faster-whisper caps the first timestamp at 1 s.
        cap = ids.ts0 + offset + FRAMES_PER_SECOND
        if timed and body[0] >= ids.ts0 and body[0] > cap and rng.random() < 0.5:
            tokens[start] = ids.ts0 + offset + rng.choice((50, 50, 0, rng.randint(0, 50)))

    def _previous_text(self, lang: str, limit: int) -> list[int]:
        """Segments of before: with timestamps, as plain text, or in characters the model has no words for."""
        rng, ids = self._rng, self._ids
        out: list[int] = []
        t = 0.0
        timed = rng.random() < 0.6
        n = rng.randint(2, limit)
        while len(out) < n:
            tokens = ids.sentence(sample_sentence(lang, rng))
            if not timed and rng.random() < 0.15:
                letters = (
                    rng.choice("abcdefghijklmnopqrstuvwxyz ,'0123456789") for _ in range(rng.randint(2, 12))
                )
                tokens = ids.tokenizer.encode(" " + "".join(letters)).ids
            if timed:
                begin = min(29.0, t + rng.uniform(0, 1.5))
                t = min(30.0, begin + rng.uniform(0.4, 4.0))
                tokens = [ids.ts0 + _frame(begin), *tokens, ids.ts0 + _frame(t)]
                if t > 27:
                    t = 0.0
            out += tokens
        return out[-limit:]


def frame_labels(scene: Scene) -> NDArray[np.int64]:
    """The word (`CLASSES`) of each encoder frame, shape (frames,)."""
    labels = np.zeros(scene.frames // 2, np.int64)
    for placed in scene.audible:
        for word, (start, end) in zip(placed.utterance.words, placed.utterance.times, strict=True):
            first = int((placed.start + start) * FRAMES_PER_SECOND)
            labels[first : int((placed.start + end) * FRAMES_PER_SECOND)] = CLASSES[word]
    return labels


def _frame(seconds: float) -> int:
    return round(seconds * FRAMES_PER_SECOND)


def _words_of(placed: Placed, *, translate: bool) -> Sentence:
    utterance = placed.utterance
    if translate and utterance.lang != "en":
        return [TRANSLATE[utterance.lang][word] for word in utterance.words]
    return utterance.words
