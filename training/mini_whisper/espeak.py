"""espeak-ng through its C library, which reports when each word begins. Version 1.51 was used."""

import ctypes
from typing import Any

import numpy as np
import soxr

from training.mini_whisper.spoken import SAMPLE_RATE, Spoken, fill_starts, trim
from training.mini_whisper.vocab import SPOKEN, Sentence, spoken_text

# From espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_BUFFER_MS = 500
_EVENT_LIST_TERMINATED, _EVENT_WORD = 0, 1
_CHARS_UTF8 = 1
_POS_CHARACTER = 1
_RATE, _PITCH, _RANGE = 1, 3, 4


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("uid", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Espeak:
    """A voice that says the vocabulary. One per process: the library has global state."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL("libespeak-ng.so.1")
        self._rate = self._lib.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, _BUFFER_MS, None, 0)
        self._blocks: list[np.ndarray] = []
        self._words: list[tuple[int, int]] = []  # character position in the text, sample
        self._callback = _CALLBACK(self._on_audio)
        self._lib.espeak_SetSynthCallback(self._callback)

    def say(
        self,
        words: Sentence,
        voice: str,
        *,
        rate: int = 160,
        pitch: int = 50,
        pitch_range: int = 50,
        stop: bool = True,
    ) -> Spoken | None:
        """Says the words.

        Args:
            voice: A voice file and a variant, such as ``gmw/en-US+m3``.
            rate: Words per minute.
            pitch: 0 to 100, as ``pitch_range``.
            stop: Ends like a sentence.

        Returns:
            None where the word events do not line up with the words.
        """
        self._blocks.clear()
        self._words.clear()
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"no espeak-ng voice {voice}")
        for parameter, value in ((_RATE, rate), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._lib.espeak_SetParameter(parameter, value, 0)
        text = (spoken_text(words) + ("." if stop else "")).encode()
        self._lib.espeak_Synth(text, len(text) + 1, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None)
        if not self._blocks:
            return None
        pcm = np.concatenate(self._blocks).astype(np.float32) / 32768.0
        audio = soxr.resample(pcm, self._rate, SAMPLE_RATE)
        starts = fill_starts(words, self._word_starts(words), len(audio) / SAMPLE_RATE)
        return trim(audio, starts) if starts is not None else None

    def _word_starts(self, words: Sentence) -> list[float | None]:
        index, at = {}, 1  # espeak-ng counts characters from 1
        for i, word in enumerate(words):
            index[at] = i
            at += len(SPOKEN.get(word, word)) + 1
        starts: list[float | None] = [None] * len(words)
        for position, sample in self._words:
            if position in index:
                starts[index[position]] = sample / self._rate
        return starts

    def _on_audio(self, wav: Any, n: int, events: Any) -> int:
        if n > 0 and wav:
            self._blocks.append(np.ctypeslib.as_array(wav, (n,)).copy())
        i = 0
        while events[i].type != _EVENT_LIST_TERMINATED:
            if events[i].type == _EVENT_WORD:
                self._words.append((events[i].text_position, events[i].sample))
            i += 1
        return 0
