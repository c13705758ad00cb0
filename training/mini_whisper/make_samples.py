"""Writes the sample recordings, and ``samples.json`` with their texts and the times of utterances and words.

python -m training.mini_whisper.make_samples [--out FOLDER]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from training.mini_whisper.scripts import CHOICE, SCRIPTS, render
from training.mini_whisper.spoken import SAMPLE_RATE


def write_sample(name: str, variant: int, folder: Path) -> dict[str, Any]:
    """Writes one recording; returns its entry of the index."""
    audio, language, utterances = render(name, variant)
    seconds = len(audio) / SAMPLE_RATE
    rate, file = SAMPLE_RATE, f"{name}.flac"
    audio = np.clip(audio, -1, 1)
    # One at 8 kHz and one at 44.1 kHz in stereo, to exercise decoders.
    if name == "en_nato":
        rate, file = 8000, f"{name}_8k.wav"
    if name == "en_command":
        rate, file = 44100, f"{name}_44k_stereo.flac"
    if rate != SAMPLE_RATE:
        audio = np.clip(soxr.resample(audio, SAMPLE_RATE, rate), -1, 1)
    pcm = np.round(audio * 32767).astype(np.int16)
    stereo = np.stack([pcm, pcm], 1) if file.endswith("stereo.flac") else pcm
    soundfile.write(folder / file, stereo, rate, subtype="PCM_16")
    return {
        "file": file,
        "language": language,
        "duration": round(seconds, 3),
        "sample_rate": rate,
        "text": " ".join(u["text"] for u in utterances),
        "utterances": utterances,
    }


def main() -> None:
    """Writes all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/mini_whisper/out"), help="receives samples/")
    folder = parser.parse_args().out / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    choice = json.loads(CHOICE.read_text("utf-8"))
    index = [write_sample(name, choice.get(name, 0), folder) for name in SCRIPTS]
    (folder / "samples.json").write_text(json.dumps(index, indent=1, ensure_ascii=False), "utf-8")
    for entry in index:
        print(f"{entry['file']:26} {entry['duration']:6.1f} s  {entry['text'][:70]}")


if __name__ == "__main__":
    main()
