"""What an upstream can be asked for, and the form in which a row asks it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import Capabilities, DecodeOptions, DecodeRequest
from gateway.transcript.languages import LANGUAGES

Fields: TypeAlias = dict[str, str | list[str]]

TRANSCRIPTIONS = "audio/transcriptions"
TRANSLATIONS = "audio/translations"

SHORT_SECONDS = 3.0
"""Audio of less is too short to tell its language: it is taken to be in the expected one."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What an upstream was found to do.

    Attributes:
        verbose: `verbose_json`, with segments and the language.
        words: Word times in it.
        logprobs: Log-probabilities in `json`.
        translates: It has `/audio/translations`.
        is_gateway: It is one of ours: it leaves a chunk as it is if told so, and knows seeds.
    """

    verbose: bool = False
    words: bool = False
    logprobs: bool = False
    translates: bool = False
    is_gateway: bool = False

    @property
    def capabilities(self) -> Capabilities:
        """As the rest of the server knows them."""
        return Capabilities(
            languages=frozenset(LANGUAGES),
            detects_language=self.verbose,
            translate=self.translates,
            prompt=True,
            keywords=True,
            temperature=True,
            words=self.words,
            logprobs=self.logprobs,
        )


def path_of(options: DecodeOptions) -> str:
    """Where the row is sent, below the base URL."""
    return TRANSLATIONS if options.task == "translate" else TRANSCRIPTIONS


def fields_of(request: DecodeRequest, model: str, able: Abilities, language: str | None = None) -> Fields:
    """The form beside the file.

    Args:
        language: In place of what the request says.
    """
    options = request.options
    fields: Fields = {"model": model, **_format(options, able)}
    if options.task == "transcribe":
        language = language or options.language or _expected(request)
        if language is not None:
            fields["language"] = language
    if prompt := _prompt(options):
        fields["prompt"] = prompt
    if options.temperature:
        fields["temperature"] = f"{options.temperature:g}"
    if able.is_gateway:
        fields["chunking_strategy"] = "whole"
        if options.seed is not None:
            fields["seed"] = str(options.seed)
    return fields


def _format(options: DecodeOptions, able: Abilities) -> Mapping[str, str | list[str]]:
    """`json` has log-probabilities, `verbose_json` times: where both are wanted, word times go first."""
    words = options.words and able.words
    if options.task == "translate":
        return {"response_format": "verbose_json" if able.verbose else "json"}
    if able.verbose and (words or not (options.logprobs and able.logprobs)):
        granularities: dict[str, str | list[str]] = {}
        if words:
            granularities = {"timestamp_granularities[]": ["word", "segment"]}
        return {"response_format": "verbose_json", **granularities}
    include: Literal["logprobs"] = "logprobs"
    return {"response_format": "json"} | (
        {"include[]": include} if options.logprobs and able.logprobs else {}
    )


def _expected(request: DecodeRequest) -> str | None:
    return request.expected if len(request.samples) < SHORT_SECONDS * SAMPLE_RATE else None


def _prompt(options: DecodeOptions) -> str:
    """Keywords, then the prompt, as Whisper gets them here: the end of a prompt is what counts most."""
    keywords = ", ".join(filter(None, (keyword.strip() for keyword in options.keywords)))
    return " ".join(filter(None, (keywords, (options.prompt or "").strip())))
