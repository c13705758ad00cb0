"""Training examples, and their collation into the tensors that the losses read."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from training.mini_whisper.bank import Bank
from training.mini_whisper.features import MELS, log_mel
from training.mini_whisper.scene import SceneMaker
from training.mini_whisper.targets import NOT_TRAINED, TargetMaker, Targets, frame_labels
from training.mini_whisper.tokenizer import Ids

Batch: TypeAlias = dict[str, torch.Tensor]

_SMOOTH = ((-2, 0.04), (-1, 0.16), (0, 0.6), (1, 0.16), (2, 0.04))
"""A timestamp's target is spread over its neighbours, 20 ms apart."""

_ENCODER_FRAMES = 1500


@dataclass(frozen=True, slots=True)
class Example:
    """One window: features (80, frames), its place inside the 30 s in encoder frames, labels and targets."""

    features: torch.Tensor
    offset: int
    labels: NDArray[np.int64]
    targets: Targets


class ExampleMaker:
    """Makes one training example after the other."""

    def __init__(self, bank: Bank, ids: Ids, seed: int) -> None:
        self.rng = random.Random(seed)
        self.targets = TargetMaker(ids, self.rng)
        self._scenes = SceneMaker(bank, self.rng)

    def make(self, frames: int) -> Example:
        """An example of ``frames`` feature frames of 10 ms."""
        rng = self.rng
        lang = rng.choices(("en", "de", "es"), (68, 16, 16))[0]
        translate = rng.random() < (0.03 if lang == "en" else 0.2)
        timed = rng.random() < 0.7
        scene = self._scenes.draw(lang, frames, timed=timed)
        audio = self._scenes.render(scene)
        raised = rng.uniform(0, 1.2) if rng.random() < 0.3 else 0.0
        if not scene.placed:
            raised = rng.choice((0.0, rng.uniform(0, 6)))
        mel = log_mel(audio, raised)
        features = torch.zeros(MELS, frames)
        n = min(frames, mel.shape[1])
        features[:, :n] = mel[:, :n]
        # A short window lies anywhere within the 30 s, so that every position and timestamp is trained.
        room = _ENCODER_FRAMES - frames // 2
        offset = rng.choice((0, rng.randint(0, room))) if room > 0 else 0
        targets = self.targets.write(scene, offset, timed=timed, translate=translate)
        return Example(features, offset, frame_labels(scene), targets)


def collate(examples: Sequence[Example], ids: Ids) -> Batch:
    """One batch.

    ``rows``, ``cols`` name the trained positions; ``index``, ``weight`` (positions, 5) their smoothed
    targets; ``grow``, ``gcol`` the positions with a span to look at, and ``gspan`` that span as a
    distribution over frames.
    """
    frames = examples[0].features.shape[1] // 2
    tokens = torch.full((len(examples), max(len(e.targets.tokens) for e in examples)), ids.eot)
    rows, cols, index, weight = [], [], [], []
    grow, gcol, gspan = [], [], []
    for b, example in enumerate(examples):
        targets = example.targets
        tokens[b, : len(targets.tokens)] = torch.tensor(targets.tokens)
        for i, (wanted, span) in enumerate(zip(targets.wanted, targets.spans, strict=True)):
            if wanted == NOT_TRAINED:
                continue
            rows.append(b)
            cols.append(i)
            if wanted >= ids.ts0:
                index.append([min(max(wanted + d, ids.ts0), ids.size - 1) for d, _ in _SMOOTH])
                weight.append([p for _, p in _SMOOTH])
            else:
                index.append([wanted] * len(_SMOOTH))
                weight.append([1.0, *([0.0] * (len(_SMOOTH) - 1))])
            first, last = (max(0, span[0]), min(frames, span[1])) if span else (0, 0)
            if last > first:
                grow.append(b)
                gcol.append(i)
                look = torch.zeros(frames)
                look[first:last] = 1.0 / (last - first)
                gspan.append(look)
    return {
        "mel": torch.stack([e.features for e in examples]),
        "offset": torch.tensor([e.offset for e in examples]),
        "labels": torch.from_numpy(np.stack([e.labels for e in examples])),
        "tokens": tokens,
        "rows": torch.tensor(rows),
        "cols": torch.tensor(cols),
        "index": torch.tensor(index),
        "weight": torch.tensor(weight),
        "grow": torch.tensor(grow, dtype=torch.long),
        "gcol": torch.tensor(gcol, dtype=torch.long),
        "gspan": torch.stack(gspan) if gspan else torch.zeros(0, frames),
    }
