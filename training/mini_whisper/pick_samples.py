"""Chooses the variant of each sample that a model transcribes best, and notes it in samples_choice.json.

    python -m training.mini_whisper.pick_samples [--out FOLDER] [--variants 40] [NAME ...]

Best is: with default options, with ``vad_filter`` and without previous text.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from faster_whisper import WhisperModel

from training.mini_whisper.eval import DEFAULT_OUT, text_from
from training.mini_whisper.scoring import align, normalise
from training.mini_whisper.scripts import CHOICE, SCRIPTS, render

_MODES: tuple[dict[str, bool], ...] = ({}, {"vad_filter": True}, {"condition_on_previous_text": False})


def errors_of(model: WhisperModel, name: str, variant: int) -> list[float]:
    """Word errors in each mode, and 0.5 more where the text differs at all."""
    audio, _, utterances = render(name, variant)
    ref = " ".join(u["text"] for u in utterances)
    audio = np.round(np.clip(audio, -1, 1) * 32767).astype(np.int16).astype(np.float32) / np.float32(32768.0)
    errors = []
    for options in _MODES:
        text = text_from(model.transcribe(audio, **options)[0])
        errors.append(align(normalise(ref), normalise(text))[0] + (0.0 if text == ref else 0.5))
    return errors


def main() -> None:
    """Tries variants until one is exact."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder of the model")
    parser.add_argument("--variants", type=int, default=40, help="variants to try")
    parser.add_argument("names", nargs="*", metavar="NAME", help="recordings to choose anew (default: all)")
    args = parser.parse_args()
    model = WhisperModel(str(args.out / "model"), device="cpu", compute_type="int8")
    choice = json.loads(CHOICE.read_text("utf-8"))
    for name in args.names or SCRIPTS:
        best = (float("inf"), 0)
        for k in range(args.variants if name != "silence_noise" else 1):
            errors = errors_of(model, name, k)
            best = min(best, (sum(errors), k))
            if not best[0]:
                break
        choice[name] = best[1]
        print(f"{name:18} variant {best[1]}: {best[0]:g} errors in all modes together", flush=True)
    CHOICE.write_text(json.dumps(choice, indent=1), "utf-8")


if __name__ == "__main__":
    main()
