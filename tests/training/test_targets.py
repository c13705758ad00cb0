"""Targets in Whisper's token format."""

import random

import pytest

from training.mini_whisper.bank import Bank
from training.mini_whisper.scene import Placed, Scene, SceneMaker
from training.mini_whisper.targets import CLASSES, NOT_TRAINED, TargetMaker, Targets, frame_labels
from training.mini_whisper.tokenizer import Ids, build_tokenizer

IDS = Ids(build_tokenizer())


class Never(random.Random):
    """Takes no chance: no previous text, no mistakes."""

    def random(self) -> float:
        """Above every rate."""
        return 1.0


def scene_of(
    bank: Bank, lang: str, *placed: tuple[float, int], crossing: tuple[float, int] | None = None
) -> Scene:
    """Utterances ``i`` of the bank from second ``start`` of a window of 4 s."""
    items = [Placed(start, i, bank.utterances[i]) for start, i in placed]
    cut = Placed(crossing[0], crossing[1], bank.utterances[crossing[1]]) if crossing else None
    return Scene(lang, 400, items, cut, 64_000, [])


def write(scene: Scene, offset: int = 0, *, timed: bool = True, translate: bool = False) -> Targets:
    """Targets without chance."""
    return TargetMaker(IDS, Never()).write(scene, offset, timed=timed, translate=translate)


def text(ids: list[int]) -> str:
    """The tokens by name."""
    return "".join(IDS.tokenizer.id_to_token(i) or "" if i >= 0 else "_" for i in ids).replace("Ġ", " ")


def test_timed_utterances(bank: Bank) -> None:
    """Each utterance stands between its times; the decoder is given what it should have said before."""
    targets = write(scene_of(bank, "en", (0.5, 0), (2.0, 1)))

    assert text(targets.tokens) == (
        "<|startoftranscript|><|en|><|transcribe|><|0.50|> Hello world.<|1.50|><|2.00|> Stop.<|2.50|>"
    )
    assert text(targets.wanted) == ("<|en|>_<|0.50|> Hello world.<|1.50|><|2.00|> Stop.<|2.50|><|endoftext|>")


def test_offset_moves_the_times_alone(bank: Bank) -> None:
    """A short window 10 s into the 30 s says its times from there, and looks at its own frames."""
    here, there = write(scene_of(bank, "en", (0.5, 1))), write(scene_of(bank, "en", (0.5, 1)), 500)

    assert text(there.wanted) == "<|en|>_<|10.50|> Stop.<|11.00|><|endoftext|>"
    assert there.spans == here.spans


def test_without_times(bank: Bank) -> None:
    """The token that forbids times is given, never asked for."""
    targets = write(scene_of(bank, "de", (0.5, 3)), timed=False)

    assert text(targets.tokens) == ("<|startoftranscript|><|de|><|transcribe|><|notimestamps|> Guten morgen.")
    assert text(targets.wanted) == "<|de|>__ Guten morgen.<|endoftext|>"


def test_translation(bank: Bank) -> None:
    """A German utterance is said in English, and the language is still German."""
    targets = write(scene_of(bank, "de", (0.5, 3)), timed=False, translate=True)

    assert text(targets.wanted) == "<|de|>__ Good morning.<|endoftext|>"


def test_utterance_cut_by_the_window(bank: Bank) -> None:
    """Of what the window's end cuts, only the start is said."""
    targets = write(scene_of(bank, "en", (0.5, 1), crossing=(3.5, 0)))

    assert text(targets.wanted) == "<|en|>_<|0.50|> Stop.<|1.00|><|3.50|><|endoftext|>"


@pytest.mark.parametrize(("timed", "said"), [(True, "<|0.00|><|endoftext|>"), (False, "_<|endoftext|>")])
def test_silence(bank: Bank, said: str, *, timed: bool) -> None:
    """Silence asks for the no-speech token and then for nothing."""
    targets = write(scene_of(bank, "en"), timed=timed)

    assert text(targets.wanted) == f"<|nospeech|>_{said}"


def test_words_look_at_their_frames(bank: Bank) -> None:
    """The span of a word is where it is said, 20 ms to the frame."""
    targets = write(scene_of(bank, "en", (0.5, 0)), timed=False)

    assert targets.spans[3:5] == [(25, 50), (50, 75)]


def test_frames_are_labelled_with_their_word(bank: Bank) -> None:
    """Silence is 0, and a word that the window cuts is labelled as far as it is heard."""
    labels = frame_labels(scene_of(bank, "en", (0.5, 1), crossing=(3.75, 0)))

    assert labels.tolist() == [0] * 25 + [CLASSES["stop"]] * 25 + [0] * 137 + [CLASSES["hello"]] * 13


def test_every_drawn_window_is_well_formed(bank: Bank) -> None:
    """Chance included, lists are equally long and end with the end of text; previous text is not trained."""
    rng = random.Random(4)
    scenes, maker = SceneMaker(bank, rng), TargetMaker(IDS, rng)
    for k in range(500):
        timed = k % 3 != 0
        scene = scenes.draw("en", (400, 3000)[k % 2], timed=timed)

        targets = maker.write(scene, 0, timed=timed, translate=k % 5 == 0)

        assert len(targets.tokens) == len(targets.wanted) == len(targets.spans)
        assert targets.wanted[-1] == IDS.eot
        assert max(targets.tokens + targets.wanted) < IDS.size
        start = targets.tokens.index(IDS.sot)
        assert set(targets.wanted[:start]) <= {NOT_TRAINED}
        assert start == 0 or (targets.tokens[0] == IDS.prev and start <= 1 + maker.prompt_limit)
