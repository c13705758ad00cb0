"""Embeddings of people who do not exist: near a centre of their own, as far apart as real ones."""

import numpy as np

from gateway.audio.speaker_model import Embedding, Voice

SIZE = 192


class People:
    """So many centres at right angles, and voices scattered around them."""

    def __init__(self, count: int, *, seed: int = 0, scatter: float = 0.9) -> None:
        self._random = np.random.default_rng(seed)
        self.centres = np.linalg.qr(self._random.standard_normal((SIZE, count)))[0].T.astype(np.float32)
        self._scatter = scatter

    def voice(self, person: int) -> Embedding:
        """Cosine of two of one person about 0.55, as measured; of two people about 0."""
        noise = self._random.standard_normal(SIZE) / SIZE**0.5 * self._scatter
        found: Embedding = (self.centres[person] + noise).astype(np.float32)
        return found / np.float32(np.linalg.norm(found))

    def says(self, person: int, start: float, seconds: float, *, narrow: bool = False) -> list[Voice]:
        """Stretches of 0.75 s; a shorter one alone says nothing."""
        count = max(1, round(seconds / 0.75))
        step = seconds / count
        return [
            Voice(
                start + step * at,
                start + step * (at + 1),
                self.voice(person),
                is_enough=seconds >= 1,
                is_narrow=narrow,
            )
            for at in range(count)
        ]

    def talk(self, *people: int, seconds: float = 3.0) -> list[Voice]:
        """They speak after each other, from the chunk's beginning."""
        return [
            voice
            for number, person in enumerate(people)
            for voice in self.says(person, number * seconds, seconds)
        ]
