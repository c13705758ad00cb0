"""Clients of `gpt-transcribe`: keywords, candidate languages, the languages that were heard."""

import pytest
from openai import BadRequestError

from tests.support import LiveServer, Sample

MODEL = "gpt-transcribe"


def test_languages(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Among the given languages the spoken one is found, and named in the answer, plain and streamed."""
    create = server.openai.audio.transcriptions.create
    file = samples["de_zahlen"].path
    plain = create(file=file, model=MODEL, languages=["de", "es"])
    done = list(create(file=file, model=MODEL, languages=["de", "es"], stream=True))[-1]

    assert plain.text == samples["de_zahlen"].text
    assert plain.languages is not None
    assert [language.code for language in plain.languages] == ["de"]
    assert done.type == "transcript.text.done"
    assert done.languages is not None
    assert [language.code for language in done.languages] == ["de"]


def test_prompt_tokens_are_counted(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Prompt and keywords are input that is billed."""
    create = server.openai.audio.transcriptions.create
    file = samples["en_hello"].path
    bare = create(file=file, model=MODEL)
    prompted = create(file=file, model=MODEL, prompt="Good morning.", keywords=["world"])

    assert bare.usage is not None
    assert bare.usage.type == "tokens"
    assert prompted.usage is not None
    assert prompted.usage.type == "tokens"
    assert prompted.usage.input_tokens > bare.usage.input_tokens


def test_unknown_languages(server: LiveServer, samples: dict[str, Sample]) -> None:
    """A candidate that no model knows is named."""
    with pytest.raises(BadRequestError, match="klingon") as caught:
        server.openai.audio.transcriptions.create(
            file=samples["en_hello"].path, model=MODEL, languages=["en", "klingon"]
        )

    assert caught.value.param == "languages"


def test_silence_names_no_language(server: LiveServer, samples: dict[str, Sample]) -> None:
    """An empty list says that none could be told."""
    answer = server.openai.audio.transcriptions.create(file=samples["silence_noise"].path, model=MODEL)

    assert answer.languages == []
