"""Trains the miniature Whisper model from nothing but speech synthesised here.

    python -m training.mini_whisper.train [--minutes 68] [--work build/mini_whisper] [--out FOLDER]

does everything: synthesises the banks, trains on the CPU, exports the model, chooses and writes the sample
recordings and measures the result. Banks that are there are used again, and a checkpoint is gone on from.

Two auxiliary losses, whose parameters are not exported, make attention align quickly: a word label for each
frame of the encoder, and a span to look at for two heads of cross-attention, for the synthesisers tell where
each word lies. Windows grow from 4 s over 8 s to 30 s; a short one lies anywhere within the 30 s.
"""

import argparse
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.multiprocessing as mp

from training.mini_whisper.bank import Bank, ensure_banks
from training.mini_whisper.batches import Batch, ExampleMaker, collate
from training.mini_whisper.export import export
from training.mini_whisper.model import Losses, MiniWhisper, Shape
from training.mini_whisper.targets import CLASSES
from training.mini_whisper.threads import Threads
from training.mini_whisper.tokenizer import Ids, build_tokenizer

_SECOND_DECAY = 0.867
"""Share of the time after which a second, short decay with more previous text begins."""

_AUXILIARY_UNTIL = 0.40


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the training.

    Attributes:
        until: The share of the time at which it ends.
        sizes: (frames of 10 ms, windows per batch, weight).
        prompt_rate: How many windows have previous text.
        prompt_limit: The most tokens of it.
    """

    until: float
    sizes: tuple[tuple[int, int, float], ...]
    prompt_rate: float
    prompt_limit: int


STAGES = (
    Stage(0.27, ((400, 16, 1.0),), 0.05, 30),
    Stage(_AUXILIARY_UNTIL, ((800, 10, 0.8), (400, 16, 0.2)), 0.15, 40),
    Stage(_SECOND_DECAY, ((3000, 4, 0.6), (800, 10, 0.4)), 0.2, 200),
    Stage(math.inf, ((3000, 4, 0.6), (800, 10, 0.4)), 0.45, 150),
)


class Stream(torch.utils.data.IterableDataset):
    """Endless batches of the current stage, made in a process of their own."""

    def __init__(self, bank: Path, stage: mp.Value, seed: int) -> None:
        super().__init__()
        self._bank, self._stage, self._seed = bank, stage, seed

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        ids = Ids(build_tokenizer())
        maker = ExampleMaker(Bank(self._bank), ids, self._seed)
        while True:
            stage = STAGES[self._stage.value]
            maker.targets.prompt_rate, maker.targets.prompt_limit = stage.prompt_rate, stage.prompt_limit
            frames, n, _ = maker.rng.choices(stage.sizes, [weight for _, _, weight in stage.sizes])[0]
            yield collate([maker.make(frames) for _ in range(n)], ids)


class Trainer:
    """A run: the network, its moving average, the optimiser, and how far they are."""

    def __init__(self, work: Path, minutes: float, ids: Ids, *, fresh: bool) -> None:
        torch.manual_seed(1)
        self._work, self._budget, self._ids = work, minutes * 60, ids
        shape = Shape(ids.size, ids.ts0, 1 + len(CLASSES))
        self.net, self.average = MiniWhisper(shape), MiniWhisper(shape)
        self.average.load_state_dict(self.net.state_dict())
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01
        )
        self.spent, self.step = 0.0, 0
        if checkpoint_path(work).exists() and not fresh:
            self._resume()

    def run(self) -> None:
        """Trains until the time is spent."""
        stage = mp.Value("i", 0)
        stream = Stream(self._work / "train", stage, 1000 + self.step)
        loader = iter(torch.utils.data.DataLoader(stream, batch_size=None, num_workers=1, prefetch_factor=6))
        compiled = torch.compile(self.net.encode, dynamic=False)
        self.net.encode = compiled  # type: ignore[method-assign]  # the losses call the compiled one
        threads, log = Threads(), Log()
        clock = saved = checked = time.monotonic()
        while self.spent < self._budget:
            progress = self.spent / self._budget
            stage.value = next(i for i, s in enumerate(STAGES) if progress < s.until)
            rate = learning_rate(progress, self.step)
            begin = time.monotonic()
            batch = next(loader)
            waited = time.monotonic() - begin
            losses = self._learn(batch, progress, rate)
            threads.update()
            now = time.monotonic()
            self.spent, clock = self.spent + now - clock, now
            log.add(losses, batch, waited)
            log.say_sometimes(
                f"{self.spent / 60:5.1f} min step {self.step} stage {stage.value} lr {rate:.5f}"
            )
            if now - checked > 400:
                for frames, n in ((800, 16), (3000, 6)):
                    losses = self._losses_on("held", self.average, frames, n, seed=5)
                    print(f"    held out, {frames} frames: {format_losses(losses)}", flush=True)
                checked = time.monotonic()
            if now - saved > 60:
                self._save()
                saved = time.monotonic()
        self._save()

    def best(self) -> MiniWhisper:
        """The last weights or their moving average, whichever fits new windows better."""

        def loss(net: MiniWhisper) -> float:
            return (
                sum(float(self._losses_on("train", net, 3000, 4, seed).token) for seed in range(90, 98)) / 8
            )

        return min((self.average, self.net), key=loss)

    def _learn(self, batch: Batch, progress: float, rate: float) -> Losses:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with autocast():
            losses = self.net.losses(batch)
            frame, guide = (0.5, 0.2) if progress < _AUXILIARY_UNTIL else (0.25, 0.7)
            loss = losses.token + frame * losses.frame + guide * losses.guide
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        keep = min(0.998, self.step / (self.step + 50))
        with torch.no_grad():
            for mean, new in zip(self.average.parameters(), self.net.parameters(), strict=True):
                mean.lerp_(new, 1 - keep)
        self.step += 1
        return losses

    def _losses_on(self, bank: str, net: MiniWhisper, frames: int, n: int, seed: int) -> Losses:
        maker = ExampleMaker(Bank(self._work / bank), self._ids, seed)
        with torch.no_grad(), autocast():
            return net.losses(collate([maker.make(frames) for _ in range(n)], self._ids))

    def _save(self) -> None:
        path = checkpoint_path(self._work)
        state = {
            "net": self.net.state_dict(),
            "ema": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "config": asdict(self.net.shape),
            "spent": self.spent,
            "step": self.step,
        }
        torch.save(state, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    def _resume(self) -> None:
        state = torch.load(checkpoint_path(self._work), weights_only=True)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["ema"])
        if "optimizer" in state:
            self.optimizer.load_state_dict(state["optimizer"])
        self.spent, self.step = state["spent"], state["step"]
        print(f"resumed at step {self.step}, {self.spent / 60:.1f} minutes", flush=True)


class Log:
    """Means of the losses, printed every half minute."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._since = time.monotonic()
        self._waited = self._heard = 0.0
        self._losses: list[list[float]] = []

    def add(self, losses: Losses, batch: Batch, waited: float) -> None:
        """Counts a step that waited so many seconds for its batch."""
        windows, _, frames = batch["mel"].shape
        self._heard += windows * frames / 100
        self._waited += waited
        self._losses.append([float(x.detach()) for x in losses])

    def say_sometimes(self, where: str) -> None:
        """Prints and starts anew after half a minute."""
        passed = time.monotonic() - self._since
        if passed < 30:
            return
        means = Losses(*torch.tensor(self._losses).mean(0))
        print(
            f"{where} | {format_losses(means)} | {passed / len(self._losses):.2f} s/step, "
            f"{self._waited / passed:.0%} waiting, {self._heard / passed:.0f} times real time, "
            f"{torch.get_num_threads()} threads",
            flush=True,
        )
        self._start()


def learning_rate(progress: float, step: int) -> float:
    """A short warm-up, a constant part, a cosine decay, and a second decay from a lower start."""
    rate = 1.5e-3 * min(1.0, (step + 1) / 400)
    main = progress / _SECOND_DECAY
    if main > 1:
        second = (progress - _SECOND_DECAY) / (1 - _SECOND_DECAY)
        return 1e-5 + 4e-4 * 0.5 * (1 + math.cos(math.pi * second))
    if main > 0.35:
        return rate * (0.01 + 0.8 * 0.5 * (1 + math.cos(math.pi * (main - 0.35) / 0.65)))
    return rate


def autocast() -> torch.autocast:
    """Matrix products in bfloat16."""
    return torch.autocast("cpu", dtype=torch.bfloat16)


def format_losses(losses: Losses) -> str:
    """One line."""
    return (
        f"token {float(losses.token):.3f} frame {float(losses.frame):.3f} guide {float(losses.guide):.3f}, "
        f"text {float(losses.text_accuracy):.2%} times {float(losses.time_accuracy):.2%} right"
    )


def checkpoint_path(work: Path) -> Path:
    """Where a run keeps its state."""
    return work / "checkpoint.pt"


def main() -> None:
    """Builds, trains, exports, measures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=68, help="training time")
    parser.add_argument("--work", type=Path, default=Path("build/mini_whisper"), help="banks and checkpoint")
    parser.add_argument("--out", type=Path, default=Path("build/mini_whisper/out"), help="model and samples")
    parser.add_argument("--fresh", action="store_true", help="ignore the checkpoint")
    parser.add_argument("--export-only", action="store_true", help="export the last checkpoint, do no more")
    args = parser.parse_args()

    ensure_banks(args.work)
    tokenizer = build_tokenizer()
    trainer = Trainer(args.work, args.minutes, Ids(tokenizer), fresh=args.fresh)
    if not args.export_only:
        trainer.run()
    export(trainer.best(), tokenizer, args.out / "model")
    print(f"exported {args.out / 'model'}", flush=True)
    if not args.export_only:
        # In processes of their own: the synthesisers fork, which torch's threads do not survive.
        for name in ("pick_samples", "make_samples", "eval"):
            command = [sys.executable, "-m", f"training.mini_whisper.{name}", "--out", str(args.out)]
            subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "2"})


if __name__ == "__main__":
    main()
