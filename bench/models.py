"""Whisper models of published dimensions with random weights, which write as many tokens as there is audio.

Only the cost is Whisper's, not the words. Purely random weights never stop: every decode would run into the
length limit and the temperature ladder. Here three channels of the residual stream carry a clock, the share
of the window that is padding, and a constant; the end token wins where clock and padding reach the constant.
All other weights are random, and the text is a fixed script of tokens, each the likeliest at its position.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import whisper_spec
from numpy.typing import NDArray
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
MINIATURE = ROOT / "tests" / "mini-whisper" / "model"

MELS = 80
FRAMES = 1500
POSITIONS = 448
VOCABULARY = 51_865
"""Entries of the multilingual models: the miniature's tokens, then filler that is never written."""

TOKENS_PER_WINDOW = 100
"""For 30 s: 2.5 words a second and 1.3 tokens a word."""

LEAST_TOKENS = 6
"""On top of that, so that the text of a second of speech is as probable as any."""

Floats = NDArray[np.float32]

_BLOCKS = {"self_attention": ((3, 1), (1, 1)), "attention": ((1, 1), (2, 1), (1, 1)), "ffn": ((4, 1), (1, 4))}
"""Of a layer: the linears of each, in widths (rows, columns)."""

_CLOCK, _PADDING, _CONSTANT = 0, 1, 2
_FULL = 2.0
"""What clock and padding add up to where a text ends, in units of a position's random channels."""

_STEEPNESS = 200.0
"""Of the end token's logit: four per token, which beats what int8 loses."""

_EMPTY = 10.0
"""The encoder's first channel in padded frames; near 0 elsewhere."""


@dataclass(frozen=True, slots=True)
class Dimensions:
    """A Whisper's size (openai/whisper, ``ModelDimensions``)."""

    width: int
    heads: int
    layers: int


SIZES = {"tiny": Dimensions(384, 6, 4), "small": Dimensions(768, 12, 12)}


def make_model(folder: Path, size: Dimensions) -> Path:
    """Writes a CTranslate2 folder, the same bytes each time; one that is there is taken as it is."""
    done = folder / "preprocessor_config.json"  # written last
    if done.exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(MINIATURE / "tokenizer.json"))
    spec = _Maker(size, tokenizer).spec()
    known = json.loads((MINIATURE / "vocabulary.json").read_text("utf-8"))
    tokens = known + [f"<|filler{number}|>" for number in range(VOCABULARY - len(known))]
    spec.register_vocabulary(tokens)
    config = json.loads((MINIATURE / "config.json").read_text("utf-8"))
    for name in ("suppress_ids", "suppress_ids_begin", "lang_ids"):
        setattr(spec.config, name, config[name])
    spec.config.alignment_heads = [[size.layers // 2, 1]]
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))
    for name in ("tokenizer.json", done.name):
        shutil.copyfile(MINIATURE / name, folder / name)
    return folder


class _Maker:
    """Draws the weights; each attribute of a spec is a variable of CTranslate2's format."""

    def __init__(self, size: Dimensions, tokenizer: Tokenizer) -> None:
        self._size = size
        self._tokenizer = tokenizer
        self._random = np.random.Generator(np.random.PCG64(size.width))

    def spec(self) -> Any:
        layers, heads = self._size.layers, self._size.heads
        spec = whisper_spec.WhisperSpec(layers, heads, layers, heads)
        self._encoder(spec.encoder)
        self._decoder(spec.decoder)
        return spec

    def _encoder(self, encoder: Any) -> None:
        width = self._size.width
        # Zero padding is all zeros in the mel features, which recorded silence is not.
        first, second = self._draw(width, MELS, 3), self._draw(width, width, 3)
        first[0, :, 1], first[1, :, 1] = 100 / MELS, -100 / MELS
        second[0] = 0
        second[0, :2, 1] = -_EMPTY
        encoder.conv1.weight, encoder.conv1.bias = first, np.zeros(width, np.float32)
        encoder.conv2.weight, encoder.conv2.bias = second, np.zeros(width, np.float32)
        encoder.conv2.bias[0] = _EMPTY
        encoder.position_encodings.encodings = self._positions(FRAMES, channels=1)
        self._layers(encoder, kept=1)

    def _decoder(self, decoder: Any) -> None:
        positions = self._positions(POSITIONS, channels=3)
        # The first token is written at position 2.
        clock = (np.arange(POSITIONS) - 2 - LEAST_TOKENS) / TOKENS_PER_WINDOW
        positions[:, _CLOCK] = _FULL * np.minimum(clock, 1.5)
        positions[:, _PADDING], positions[:, _CONSTANT] = 0, _FULL
        decoder.embeddings.weight = self._draw(VOCABULARY, self._size.width)
        decoder.scale_embeddings = False
        decoder.position_encodings.encodings = positions
        decoder.projection.weight = self._projection(positions)
        self._layers(decoder, kept=3)
        decoder.embeddings.weight[:, :3] = 0
        self._count_padding(decoder.layer[-1].attention)

    def _layers(self, stack: Any, *, kept: int) -> None:
        """Small enough not to drown the positions; the first ``kept`` channels are left alone."""
        width = self._size.width
        self._norm(stack.layer_norm)
        for block, shapes in (
            (getattr(layer, name), shapes)
            for layer in stack.layer
            for name, shapes in _BLOCKS.items()
            if hasattr(layer, name)
        ):
            self._norm(block.layer_norm)
            linears = block.linear if hasattr(block, "linear") else (block.linear_0, block.linear_1)
            for linear, (rows, columns) in zip(linears, shapes, strict=True):
                linear.weight = self._draw(rows * width, columns * width)
                linear.bias = np.zeros(rows * width, np.float32)
            linears[-1].weight[:kept] = 0

    def _projection(self, positions: Floats) -> Floats:
        """Token rows: near zero, but for the script's, the end token's, and the filler's, which are never."""
        width = self._size.width
        weight = self._draw(VOCABULARY, width)
        weight[:, :3] = 0
        weight[self._tokenizer.get_vocab_size() :, _CONSTANT] = -5
        for position, token in enumerate(self._script()):
            weight[token, 3:] = positions[position, 3:] / np.sqrt(width)
        end = weight[self._id("<|endoftext|>")]
        end[:] = 0
        end[[_CLOCK, _PADDING]] = _STEEPNESS
        end[_CONSTANT] = np.sqrt(width) / _FULL - _STEEPNESS
        return weight

    def _script(self) -> list[int]:
        """What is written at each position: language and task are given, then comes 0.00 and words."""
        vocabulary: dict[str, int] = self._tokenizer.get_vocab()
        # Without Whisper's non-speech tokens, which every side suppresses.
        texts = (text for text in vocabulary if text[:1] == "Ġ" and text[1:].isalpha() and text[1:].isascii())
        words = sorted(vocabulary[text] for text in texts)
        drawn = self._random.choice(words, 2 * TOKENS_PER_WINDOW, replace=False)
        return [self._id("<|en|>"), self._id("<|transcribe|>"), self._id("<|0.00|>"), *map(int, drawn)]

    def _id(self, token: str) -> int:
        found: int | None = self._tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"the miniature's tokenizer has no {token}")
        return found

    def _count_padding(self, attention: Any) -> None:
        """Makes the first head average the padding channel over all frames, into the decoder's own."""
        width, head = self._size.width, self._size.width // self._size.heads
        attention.linear[0].weight[:head] = 0
        values = attention.linear[1].weight[width:]
        values[0] = 0
        values[0, 0] = 1
        out = attention.linear[-1].weight
        out[:, 0] = 0
        normed = _EMPTY * (1 - 1 / width) / np.sqrt(1 + _EMPTY**2 / width)
        out[_PADDING, 0] = _FULL / normed

    def _norm(self, spec: Any) -> None:
        spec.gamma = np.ones(self._size.width, np.float32)
        spec.beta = np.zeros(self._size.width, np.float32)

    def _positions(self, count: int, *, channels: int) -> Floats:
        """Random codes of mean 0; the first ``channels`` are left at 0."""
        codes = self._random.standard_normal((count, self._size.width), np.float32)
        codes[:, :channels] = 0
        codes[:, channels:] -= codes[:, channels:].mean(axis=1, keepdims=True)
        return codes

    def _draw(self, *shape: int) -> Floats:
        return self._random.standard_normal(shape, np.float32) * np.float32(0.01)
