"""Channels that hear each other: another's voice goes, one's own stays, in any pieces the same."""

import numpy as np
import pytest

from gateway.audio.isolation import Isolation
from gateway.audio.types import SAMPLE_RATE, Samples
from tests.audio.sound import cuts

TURN = 3 * SAMPLE_RATE
PAUSE = SAMPLE_RATE // 2


def isolated(channels: Samples, size: int = 10 * SAMPLE_RATE) -> Samples:
    """What is left, fed in pieces of so many samples."""
    isolation = Isolation(channels.shape[1])
    pieces = [out for piece in cuts(channels, size) for out in isolation.feed(piece)]
    return np.concatenate([*pieces, isolation.flush()])


def talk(speech: Samples, channel: int, *, rest: int = 0) -> Samples:
    """Turns of 3 s by turns with ``rest``, of two or more people; this one's voice."""
    said = np.zeros(12 * TURN, np.float32)
    for turn in range(channel, 12, 2 + rest):
        said[turn * TURN : (turn + 1) * TURN - PAUSE] = speech[turn * TURN :][: TURN - PAUSE]
    return said


def leak(samples: Samples, decibels: float, delay: float = 0.01) -> Samples:
    """The voice as another's channel has it: weaker, later, and in a small room."""
    room = np.random.default_rng(1).standard_normal(1600) * np.exp(-np.arange(1600) / 300)
    room[0] = 5
    late = np.convolve(np.pad(samples, (round(delay * SAMPLE_RATE), 0)), room / np.sqrt(room @ room))
    return (late[: len(samples)] * 10 ** (decibels / 20)).astype(np.float32)


def noise(seed: int, level: float = 1e-4) -> Samples:
    """A line's."""
    return (np.random.default_rng(seed).standard_normal(12 * TURN) * level).astype(np.float32)


def kept(out: Samples, channel: int, voice: Samples) -> float:
    """The share of the voice's power, after its beginning, that is left where it is spoken."""
    spoken = voice[TURN:] != 0
    left = out[TURN:, channel] != 0
    return float(np.square(voice[TURN:][spoken & left]).sum() / np.square(voice[TURN:][spoken]).sum())


@pytest.fixture(scope="module")
def voices(long: Samples) -> tuple[Samples, Samples]:
    """Two people who take turns, without the pauses of the recording."""
    blocks = long[: len(long) // 1600 * 1600].reshape(-1, 1600)
    dense = blocks[np.abs(blocks).max(axis=1) > 0.01].reshape(-1)
    whole = np.resize(dense / np.abs(dense).max() * 0.5, 12 * TURN).astype(np.float32)
    return talk(whole, 0), talk(whole, 1)


@pytest.mark.parametrize("decibels", [-40, -25, -15, -10])
@pytest.mark.parametrize("delay", [0.0, 0.01, 0.1])
def test_a_leak_is_taken_out(voices: tuple[Samples, Samples], decibels: float, delay: float) -> None:
    """However loud and late the other's voice is heard, hardly any of it is left, and all of one's own."""
    a, b = voices
    channels = np.stack(
        [a + leak(b, decibels, delay) + noise(2), b + leak(a, decibels, delay) + noise(3)], axis=1
    )

    out = isolated(channels)

    assert out.shape == channels.shape
    for channel, (own, other) in enumerate([(a, b), (b, a)]):
        assert kept(out, channel, own) > 0.97
        assert kept(out, channel, other) < 0.04


def test_people_who_speak_at_once_keep_their_words(voices: tuple[Samples, Samples]) -> None:
    """Where two channels have voices of their own, neither is taken out."""
    a, b = voices
    b = np.where(np.arange(len(b)) % (4 * TURN) < TURN // 2, np.roll(b, TURN), b)

    out = isolated(np.stack([a + leak(b, -25), b + leak(a, -25)], axis=1))

    assert kept(out, 0, a) > 0.95
    assert kept(out, 1, b) > 0.95


@pytest.mark.parametrize("delay", [0.01, 0.1, 0.2])
@pytest.mark.parametrize("decibels", [-30, -15, -6])
def test_a_channel_that_only_hears_the_other(
    voices: tuple[Samples, Samples], decibels: float, delay: float
) -> None:
    """Nothing is left of it, whichever it is, from the first word on and however late it comes."""
    a, _ = voices
    copy = leak(a, decibels, delay)

    for out in (isolated(np.stack([a, copy], axis=1)), isolated(np.stack([copy, a], axis=1))[:, ::-1]):
        assert kept(out, 0, a) > 0.97
        assert np.square(out[:, 1]).sum() < 0.005 * np.square(copy).sum()


@pytest.mark.parametrize("silence", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("decibels", [0, -6, -15])
def test_the_first_words(voices: tuple[Samples, Samples], decibels: float, silence: float) -> None:
    """Before anything is learnt the louder channel has the voice, and of two alike the first."""
    said = np.pad(voices[0][:TURN], (round(silence * SAMPLE_RATE), 0))
    copy = leak(said, decibels) if decibels else said

    for turn in (1, -1) if decibels else (1,):
        out = isolated(np.stack([said, copy], axis=1)[:, ::turn])[:, ::turn]
        assert np.square(out[:, 0]).sum() > 0.98 * np.square(said).sum()
        assert np.square(out[:, 1]).sum() < 0.02 * np.square(copy).sum()


def test_quiet_sounds_before_a_word(voices: tuple[Samples, Samples]) -> None:
    """Of channels with the same sound the second one's has no part of the word that follows them."""
    breath = 10 * SAMPLE_RATE // 50
    said = voices[0].copy()
    for begin in range(2 * TURN, 12 * TURN, 2 * TURN):
        said[begin - breath : begin] = noise(2, 3e-4)[:breath]

    out = isolated(np.stack([said, said], axis=1))

    assert kept(out, 0, said) > 0.99
    assert np.square(out[:, 1]).sum() < 1e-3 * np.square(said).sum()


def test_channels_with_the_same_sound_are_one(voices: tuple[Samples, Samples]) -> None:
    """The first has it, though an encoder makes a little difference."""
    both = voices[0] + voices[1]

    out = isolated(np.stack([both + noise(2, 3e-3), both + noise(3, 3e-3)], axis=1))

    assert kept(out, 0, both) > 0.97
    assert kept(out, 1, both) == 0


def test_a_third_channel(voices: tuple[Samples, Samples]) -> None:
    """Of three people each keeps their own voice alone; a channel without anybody has nothing."""
    a, b = voices
    channels = np.stack([a + leak(b, -15), b + leak(a, -15), leak(a + b, -20), noise(4)], axis=1)

    out = isolated(channels)

    assert kept(out, 0, a) > 0.97
    assert kept(out, 1, b) > 0.97
    assert kept(out, 2, a + b) < 0.01


@pytest.mark.parametrize("size", [999, SAMPLE_RATE, 77_777])
def test_slices_change_nothing(voices: tuple[Samples, Samples], size: int) -> None:
    """What goes out depends on the samples alone, down to the last one."""
    channels = np.stack([voices[0] + leak(voices[1], -15), voices[1]], axis=1)[: 20 * SAMPLE_RATE + 123]

    assert np.array_equal(isolated(channels, size), isolated(channels))


@pytest.mark.parametrize("length", [0, 1, 100, SAMPLE_RATE - 1, SAMPLE_RATE, SAMPLE_RATE + 1])
def test_short_recordings(length: int) -> None:
    """No sample is lost or added."""
    channels = np.ones((length, 2), np.float32)

    assert isolated(channels).shape == (length, 2)


def test_silence_stays_as_it_is() -> None:
    """Where nobody speaks there is nothing to take out, and nothing goes wrong."""
    silence = np.zeros((3 * SAMPLE_RATE, 2), np.float32)

    assert not isolated(silence).any()
