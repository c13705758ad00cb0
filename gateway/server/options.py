"""From what a client asked to options of flow and engine, within what the model can do."""

from dataclasses import replace
from typing import Literal

from gateway.audio.chunking import ChunkingOptions
from gateway.audio.vad import VadOptions
from gateway.engine.api import Capabilities, DecodeOptions, ModelDefaults, Recognizer, Task
from gateway.errors import InvalidRequestError, UnsupportedValueError
from gateway.protocol.contracts import contract
from gateway.protocol.request import ServerVad, TranscriptionRequest

UNCUT_SECONDS = 30.0
"""OpenAI's: models that tell speakers apart want to be told how longer recordings are cut."""

EARLY_SECONDS = 5.0
"""Of speech, after which a stream has a preview decoded for its first words."""

MAX_PAUSE_SECONDS = 3.0
"""Of silence, after which a stream has the text so far: somebody may be waiting for it while they speak."""


def chunking_options(
    request: TranscriptionRequest, *, max_seconds: float, default: Literal["auto", "block"] = "auto"
) -> ChunkingOptions:
    """How the recording is cut; ``default`` says what an unset `chunking_strategy` means."""
    strategy = request.chunking_strategy
    options = ChunkingOptions(max_seconds=max_seconds, track=request.track)
    if strategy is None and contract(request.model).diarizes and max_seconds > UNCUT_SECONDS:
        too_long = InvalidRequestError(
            f"chunking_strategy is required for audio longer than {UNCUT_SECONDS:g} seconds with the model "
            f"'{request.model}'. Use 'auto'.",
            param="chunking_strategy",
        )
        options = replace(options, max_seconds=UNCUT_SECONDS, too_long=too_long)
    if request.by_channel:
        options = replace(options, channels=len(request.known_speaker_names))
    elif strategy == "whole":
        too_long = InvalidRequestError(
            f"chunking_strategy=whole is for audio of at most {UNCUT_SECONDS:g} seconds, as it is not cut.",
            param="chunking_strategy",
        )
        return replace(options, windows="whole", max_seconds=UNCUT_SECONDS, too_long=too_long)
    elif strategy is None and default == "block":
        return replace(options, windows="block")
    if isinstance(strategy, ServerVad):
        vad = VadOptions(strategy.threshold, strategy.prefix_padding_ms, strategy.silence_duration_ms)
        options = replace(options, vad=vad)
    # Whose words they are is known chunk by chunk, and no voice is to count twice.
    options = replace(options, overlaps=not request.wants_speakers)
    if not request.stream:
        return options
    # Of words in a preview nobody knows yet whose they are, nor in which segment.
    early = None if request.wants_speakers or request.by_channel else EARLY_SECONDS
    return replace(options, early=early, max_pause=MAX_PAUSE_SECONDS)


def decode_options(
    request: TranscriptionRequest, recognizer: Recognizer, *, task: Task, logprobs: bool
) -> DecodeOptions:
    """What the engine is asked for.

    Raises:
        UnsupportedValueError: The model cannot do it; names the parameter and the model.
        UnavailableError: No worker has loaded the model yet.
    """
    able = recognizer.capabilities
    _check(request, recognizer.name, able, task=task)
    languages = request.languages
    language = request.language or (languages[0] if len(languages) == 1 else None)
    return DecodeOptions(
        language=language,
        languages=languages if language is None else (),
        task=task,
        prompt=request.prompt,
        keywords=request.keywords,
        temperature=request.temperature,
        seed=request.seed,
        words=able.words and wants_words(request),
        logprobs=logprobs,
    )


def with_defaults(request: TranscriptionRequest, defaults: ModelDefaults) -> TranscriptionRequest:
    """The request, with the model's own language and prompt where it names none."""
    update: dict[str, str] = {}
    if defaults.language is not None and request.language is None and not request.languages:
        update["language"] = defaults.language
    if defaults.prompt is not None and request.prompt is None:
        update["prompt"] = defaults.prompt
    return request.model_copy(update=update) if update else request


def wants_words(request: TranscriptionRequest) -> bool:
    """Subtitles are cut between words, and segments where the speaker changes: that takes word times, too."""
    return (
        "word" in request.timestamp_granularities
        or request.response_format in {"srt", "vtt"}
        or request.wants_speakers
        or request.by_channel
    )


def _check(request: TranscriptionRequest, name: str, able: Capabilities, *, task: Task) -> None:
    for param, languages in {"language": (request.language,), "languages": request.languages}.items():
        for language in languages:
            if language is not None and language not in able.languages:
                known = ", ".join(sorted(able.languages))
                raise UnsupportedValueError(
                    f"The model '{name}' does not know the language '{language}'. It knows: {known}.",
                    param=param,
                )
    refusals = {
        "prompt": (request.prompt is not None and not able.prompt, "takes no prompt"),
        "keywords": (bool(request.keywords) and not able.keywords, "takes no keywords"),
        "timestamp_granularities": (
            "word" in request.timestamp_granularities and not able.words,
            "gives no word times",
        ),
        "include": (request.wants_logprobs and not able.logprobs, "gives no log-probabilities"),
        "model": (task == "translate" and not able.translate, "cannot translate"),
    }
    for param, (is_refused, reason) in refusals.items():
        if is_refused:
            raise UnsupportedValueError(f"The model '{name}' {reason}.", param=param)
