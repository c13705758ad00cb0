"""What clients of Whisper servers call its sizes, in one form each.

Whoever wrote the client named the weights that another server had: ``Systran/faster-whisper-large-v3``,
``deepdml/faster-whisper-large-v3-turbo-ct2``, ``distil-large-v3``, ``ggml-base.en.bin``, ``base``.
"""

import re

_NAME = re.compile(
    r"""
    (?:ggml-|openai-|faster-|mlx-|ctranslate2-|ct2-)*
    (?P<distil>distil-)?
    (?P<whisper>whisper-)?
    (?P<distil_inside>distil-)?
    (?P<size>tiny|base|small|medium|large(?:-v[123])?(?:\.5)?(?:-turbo)?|turbo|(?(whisper)v[23](?:-turbo)?|(?!)))
    (?P<english>[.-]en)?
    (?:-(?:ct2|ctranslate2|int8|fp16|bf16|float16|bfloat16|float32|fp32|mlx|q\d(?:-\w+)*|8bit|4bit|onnx|gguf|ggml))*
    (?:\.(?:bin|pt|gguf))?
    """,
    re.VERBOSE,
)

_OWNER = re.compile(r"\w[\w.-]*")

_SAME = {
    "turbo": "large-v3-turbo",
    "large": "large-v3",
    "large-turbo": "large-v3-turbo",
    "v2": "large-v2",
    "v3": "large-v3",
    "v3-turbo": "large-v3-turbo",
}


_SIZELESS = frozenset({"whisper", "openai/whisper", "azure/whisper", "gpt-4o-mini-transcribe-2025-03-20"})
"""What Azure calls its Whisper, and a version that OpenAI has replaced: whatever is served will do."""


def meant_size(name: str) -> str | None:
    """As `whisper_size`; empty for names of other servers that mean a model and no size."""
    return "" if name.lower() in _SIZELESS else whisper_size(name)


def whisper_size(name: str) -> str | None:
    """The size that ``name`` means, as ``base.en`` or ``large-v3-turbo``; None where it means none.

    A distilled model is its own: ``distil-large-v3``.
    """
    owner, _, last = name.lower().replace("_", "-").rpartition("/")
    match = _NAME.fullmatch(last)
    if match is None or (owner and _OWNER.fullmatch(owner) is None):
        return None
    size = _SAME.get(match["size"], match["size"])
    distilled = "distil-" if match["distil"] or match["distil_inside"] else ""
    return f"{distilled}{size}{'.en' if match['english'] else ''}"
