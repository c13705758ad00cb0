"""A small Whisper in PyTorch, with the two auxiliary losses that make it learn quickly."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from training.mini_whisper.batches import Batch
from training.mini_whisper.features import MELS

SOURCE_POSITIONS = 1500
TARGET_POSITIONS = 448


@dataclass(frozen=True, slots=True)
class Shape:
    """The network's sizes.

    Attributes:
        vocab_size: Tokens.
        ts0: Id of the first timestamp.
        n_classes: Labels of the encoder's frames.
        d: Width.
        guided: (layer, head) of the cross-attention heads that are shown where to look.
    """

    vocab_size: int
    ts0: int
    n_classes: int
    d: int = 160
    heads: int = 4
    enc_layers: int = 3
    dec_layers: int = 3
    guided: tuple[tuple[int, int], ...] = ((1, 0), (2, 0))


class Losses(NamedTuple):
    """Losses of a batch, and two rates for the eye: right text tokens, and timestamps within 0.1 s."""

    token: torch.Tensor
    frame: torch.Tensor
    guide: torch.Tensor
    text_accuracy: torch.Tensor
    time_accuracy: torch.Tensor


def sinusoids(length: int, channels: int) -> torch.Tensor:
    """Whisper's encoder positions, (length, channels): sines, then cosines."""
    rate = math.log(10_000) / (channels // 2 - 1)
    scaled = torch.arange(length)[:, None] * torch.exp(-rate * torch.arange(channels // 2))[None]
    return torch.cat([scaled.sin(), scaled.cos()], dim=1)


class Attention(nn.Module):
    """Multi-head attention, written out: on a CPU its backward pass is twice as fast as the fused one's."""

    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k = nn.Linear(d, d), nn.Linear(d, d, bias=False)
        self.v, self.out = nn.Linear(d, d), nn.Linear(d, d)

    def forward(
        self,
        x: torch.Tensor,
        memory: torch.Tensor | None = None,
        *,
        causal: bool = False,
        want_scores: Sequence[int] = (),
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Attends to ``memory`` (or itself); also gives the scores, before softmax, of the wanted heads."""
        b, t, d = x.shape
        m = x if memory is None else memory

        def split(y: torch.Tensor) -> torch.Tensor:
            return y.view(b, -1, self.heads, d // self.heads).transpose(1, 2)

        q, k, v = split(self.q(x)), split(self.k(m)), split(self.v(m))
        scores = (q * (d // self.heads) ** -0.5) @ k.transpose(2, 3)
        if causal:
            scores = scores.masked_fill(torch.ones(t, t, dtype=torch.bool).triu(1), float("-inf"))
        y = torch.softmax(scores, -1).to(v.dtype) @ v
        return self.out(y.transpose(1, 2).reshape(b, t, d)), [scores[:, h] for h in want_scores]


class Block(nn.Module):
    """One layer: self-attention, cross-attention in the decoder, feed-forward; all with pre-norm."""

    def __init__(self, d: int, heads: int, *, cross: bool) -> None:
        super().__init__()
        self.attn_norm, self.attn = nn.LayerNorm(d), Attention(d, heads)
        if cross:
            self.cross_norm, self.cross = nn.LayerNorm(d), Attention(d, heads)
        self.ffn_norm, self.fc1, self.fc2 = nn.LayerNorm(d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(
        self, x: torch.Tensor, memory: torch.Tensor | None = None, want_scores: Sequence[int] = ()
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Gives the hidden states and the wanted cross-attention scores."""
        scores: list[torch.Tensor] = []
        x = x + self.attn(self.attn_norm(x), causal=memory is not None)[0]
        if memory is not None:
            y, scores = self.cross(self.cross_norm(x), memory, want_scores=want_scores)
            x = x + y
        x = x + self.fc2(nn.functional.gelu(self.fc1(self.ffn_norm(x))))
        return x, scores


class MiniWhisper(nn.Module):
    """The network."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        d = shape.d
        self.conv1 = nn.Conv1d(MELS, d, 3, padding=1)
        self.conv2 = nn.Conv1d(d, d, 3, stride=2, padding=1)
        self.register_buffer("enc_pos", 0.6 * sinusoids(SOURCE_POSITIONS, d))
        self.enc = nn.ModuleList(Block(d, shape.heads, cross=False) for _ in range(shape.enc_layers))
        self.enc_norm = nn.LayerNorm(d)
        self.embed = nn.Embedding(shape.vocab_size, d)
        self.dec_pos = nn.Parameter(0.05 * sinusoids(TARGET_POSITIONS, d))
        self.dec = nn.ModuleList(Block(d, shape.heads, cross=True) for _ in range(shape.dec_layers))
        self.dec_norm = nn.LayerNorm(d)
        self.frame_head = nn.Linear(d, shape.n_classes)  # for a loss; not exported
        self._initialise()

    def encode(self, mel: torch.Tensor, offset: torch.Tensor | None = None) -> torch.Tensor:
        """(batch, 80, frames) to states (batch, frames / 2, d); ``offset`` is their place in the 30 s."""
        x = nn.functional.gelu(self.conv1(mel))
        x = nn.functional.gelu(self.conv2(x)).transpose(1, 2)
        n = x.shape[1]
        pos = self.enc_pos[:n] if offset is None else self.enc_pos[offset[:, None] + torch.arange(n)[None]]
        x = x.float() + pos  # the residual stream stays in float32 under autocast
        for block in self.enc:
            x, _ = block(x)
        return self.enc_norm(x)

    def decode(self, tokens: torch.Tensor, memory: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Hidden states for tokens (batch, length), and the scores of the guided heads."""
        x = self.embed(tokens) + self.dec_pos[: tokens.shape[1]]
        guided: list[torch.Tensor] = []
        for i, block in enumerate(self.dec):
            x, scores = block(x, memory, [head for layer, head in self.shape.guided if layer == i])
            guided += scores
        return self.dec_norm(x), guided

    def losses(self, batch: Batch) -> Losses:
        """The token loss, the auxiliary losses of frames and guided heads, and the rates."""
        memory = self.encode(batch["mel"], batch["offset"])
        hidden, guided = self.decode(batch["tokens"], memory)
        h = hidden[batch["rows"], batch["cols"]]
        logits = (h @ self.embed.weight.to(h.dtype).T).float()
        logp = nn.functional.log_softmax(logits, -1)
        token = -(logp.gather(1, batch["index"]) * batch["weight"]).sum(1).mean()
        frame = nn.functional.cross_entropy(
            self.frame_head(memory).float().flatten(0, 1), batch["labels"].flatten()
        )
        guide = torch.zeros(())
        for scores in guided:
            p = nn.functional.log_softmax(scores[batch["grow"], batch["gcol"]].float(), -1)
            guide = guide - (p * batch["gspan"]).sum(1).mean() / len(guided)
        with torch.no_grad():
            best = logits.argmax(-1)
            text = batch["weight"][:, 0] == 1.0
            right = (best == batch["index"][:, 0]) & text
            near = ((best - batch["index"][:, 2]).abs() <= 5) & ~text
            return Losses(
                token,
                frame,
                guide,
                right.sum() / text.sum().clamp(min=1),
                near.sum() / (~text).sum().clamp(min=1),
            )

    def _initialise(self) -> None:
        d, ts0 = self.shape.d, self.shape.ts0
        # With the default initialisation the positions drown what the microphone heard.
        nn.init.normal_(self.conv1.weight, std=2.0 / math.sqrt(3 * MELS))
        nn.init.normal_(self.conv2.weight, std=1.2 / math.sqrt(3 * d))
        nn.init.normal_(self.embed.weight, std=0.05)
        with torch.no_grad():
            offsets = ((-6, -2, 2, 6), (-14, -5, 5, 14), (-9, 0, 9, None))
            for block, heads in zip(self.enc, offsets, strict=True):
                local_attention_(block.attn, heads)
            # The channels that those heads read stay free of anything else at first.
            channels = _position_channels(d // self.shape.heads // 2)
            channels = torch.cat([channels, d // 2 + channels])
            for layer in [self.conv2, *(layer for b in self.enc for layer in (b.attn.out, b.fc2))]:
                layer.weight[channels] = 0
                layer.bias[channels] = 0
            # An encoder frame is 20 ms, the step of the timestamps: each starts as the code of its frame.
            self.embed.weight[ts0 : ts0 + SOURCE_POSITIONS + 1] = 0.08 * sinusoids(SOURCE_POSITIONS + 1, d)


def local_attention_(attention: Attention, offsets: Sequence[int | None], gain: float = 4.5) -> None:
    """Lets head i start out looking at the frame ``offsets[i]`` away from its own.

    Positions are added as sines and cosines, so a query that rotates them by the offset matches the key of
    that frame. Learning to look nearby from scratch would take most of a short training.
    """
    d = attention.q.weight.shape[0]
    half, size = d // 2, d // attention.heads
    m = size // 2
    rate = torch.exp(-math.log(10_000) / (half - 1) * torch.arange(half))
    index = _position_channels(m)
    a = gain**0.5
    j = torch.arange(m)
    for head, offset in enumerate(offsets):
        if offset is None:
            continue
        q, k = torch.zeros(size, d), torch.zeros(size, d)
        cos, sin = torch.cos(rate[index] * offset), torch.sin(rate[index] * offset)
        k[j, index] = a
        k[m + j, half + index] = a
        q[j, index], q[j, half + index] = a * cos, a * sin
        q[m + j, half + index], q[m + j, index] = a * cos, -a * sin
        rows = slice(head * size, (head + 1) * size)
        attention.q.weight[rows] = q + 0.01 * torch.randn_like(q)
        attention.k.weight[rows] = k + 0.01 * torch.randn_like(k)
        attention.q.bias[rows] = 0


def _position_channels(m: int) -> torch.Tensor:
    """The sines that tell neighbouring frames apart, yet do not repeat within a word."""
    return torch.linspace(3, 34, m).round().long()
