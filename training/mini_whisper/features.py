"""Log-mel features in torch, equal to faster-whisper's to 2e-5."""

import torch
from faster_whisper.feature_extractor import FeatureExtractor

from training.mini_whisper.spoken import Audio

MELS = 80
_N_FFT, _HOP = 400, 160
_FILTERS = torch.from_numpy(FeatureExtractor.get_mel_filters(16_000, _N_FFT, MELS).astype("float32"))
_WINDOW = torch.hann_window(_N_FFT)


def log_mel(audio: Audio, raised_max: float = 0.0) -> torch.Tensor:
    """Features of shape (80, frames), one frame per 10 ms.

    Args:
        audio: 16 kHz samples.
        raised_max: How much louder (in log10) than this window its recording's loudest frame is.
    """
    padded = torch.nn.functional.pad(torch.from_numpy(audio), (0, _HOP))
    spectrum = torch.stft(padded, _N_FFT, _HOP, window=_WINDOW, center=True, return_complex=True)
    log = torch.clamp(_FILTERS @ (spectrum[:, :-1].abs() ** 2), min=1e-10).log10()
    log = torch.maximum(log, log.max() + raised_max - 8.0)
    return (log + 4.0) / 4.0
