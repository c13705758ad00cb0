"""What a transcription session is set to, and how a partial `session` object of the wire changes it."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, GetPydanticSchema
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from gateway.errors import InvalidRequestError, UnsupportedValueError
from gateway.protocol.contracts import contract
from gateway.protocol.events import about
from gateway.protocol.parse import check_length, validated
from gateway.protocol.realtime.changes import (
    MAX_ITEMS,
    merge_format,
    merge_noise_reduction,
    merge_transcription,
    merge_turn_detection,
)
from gateway.protocol.realtime.fields import (
    INPUT,
    LEGACY_NAMES,
    MEANINGLESS,
    Known,
    as_given,
    refuse_unknown,
    todays_input,
)
from gateway.protocol.realtime.parts import (
    AudioFormat,
    Input,
    NoiseReduction,
    SemanticVad,
    ServerVad,
    Transcription,
    Wire,
)

LOGPROBS = "item.input_audio_transcription.logprobs"

WORDS = "item.input_audio_transcription.words"

Include = Literal["item.input_audio_transcription.logprobs", "item.input_audio_transcription.words"]

INCLUDE = (
    f"`{LOGPROBS}` adds log-probabilities to deltas and completed transcripts; `{WORDS}`, an extension, "
    "`words` with their times to completed ones."
)


def written(kind: Any) -> GetPydanticSchema:
    """Marks a dict of the wire as what the model ``kind`` describes, in the OpenAPI document."""
    return GetPydanticSchema(lambda _, handler: handler.generate_schema(kind))


class RealtimeAudio(TypedDict):
    """A session's audio."""

    input: NotRequired[
        Annotated[Wire, written(Input), about("What the client sends.", default=Input().model_dump())]
    ]


class RealtimeSettings(TypedDict):
    """A transcription session's settings; what is not said is as in a session of the first model."""

    type: NotRequired[
        Annotated[Literal["transcription"], about("There are no conversations.", default="transcription")]
    ]
    audio: NotRequired[
        Annotated[
            RealtimeAudio,
            about("What the client sends, and how it is heard.", default={"input": Input().model_dump()}),
        ]
    ]
    include: NotRequired[Annotated[list[Include], about(INCLUDE, default=[])]]


class SessionConfig(Input):
    """A session's settings: what comes in and what is told of it."""

    include: tuple[Include, ...] = Field((), strict=False)

    @classmethod
    def default(cls, model: str) -> "SessionConfig":
        """What a session begins with, where its client says nothing but the model."""
        return cls(
            transcription=Transcription(model=model),
            turn_detection=None if contract(model).continuous else ServerVad(),
        )

    @property
    def wants_logprobs(self) -> bool:
        """`include` asks for token log-probabilities."""
        return LOGPROBS in self.include

    @property
    def wants_words(self) -> bool:
        """`include` asks for the words' times."""
        return WORDS in self.include

    @property
    def is_continuous(self) -> bool:
        """The model's name says that deltas flow all along, without turns."""
        return self.transcription is not None and contract(self.transcription.model).continuous

    def updated(self, session: Mapping[str, Any]) -> "SessionConfig":
        """These settings, with what the wire's ``session`` object says: absent is unchanged, null clears.

        Of a session for conversations only what is heard counts: it is transcribed, and never answered.

        Raises:
            InvalidRequestError: Names the first field that is unknown, missing, wrong or in contradiction.
        """
        refuse_unknown(session, _KNOWN, "session")
        if session.get("type") not in (None, "transcription", "realtime"):
            raise UnsupportedValueError(
                "This server has transcription sessions only: 'session.type' is 'transcription'.",
                param="session.type",
            )
        try:
            return self._updated(session, todays_input(session))
        except InvalidRequestError as error:
            raise as_given(error, session) from None

    def _updated(self, session: Mapping[str, Any], given: Mapping[str, Any]) -> "SessionConfig":
        parts: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        for name, merge in _MERGES.items():
            if name in given:
                parts[name] = merge(parts[name], given[name], f"{INPUT}.{name}")
        if "include" in session:
            check_length(session["include"], MAX_ITEMS, "session.include")
            parts["include"] = session["include"]
        config = validated(SessionConfig, parts, "session")
        if not config.is_continuous:
            return config
        if given.get("turn_detection") is not None:
            raise UnsupportedValueError(
                "This model transcribes all along, without turns: 'turn_detection' must be null.",
                param=f"{INPUT}.turn_detection",
            )
        return config.model_copy(update={"turn_detection": None})

    def to_wire(self) -> RealtimeSettings:
        """The wire's `session` object. `updated` with it gives the same settings."""
        given = {
            "format": self.format.to_wire(),
            "transcription": self.transcription and self.transcription.to_wire(),
            "noise_reduction": self.noise_reduction and self.noise_reduction.model_dump(),
            "turn_detection": self.turn_detection and self.turn_detection.model_dump(exclude_none=True),
        }
        return {"type": "transcription", "audio": {"input": given}, "include": list(self.include)}


_MERGES: Mapping[str, Callable[[Any, object, str], Any]] = {
    "format": merge_format,
    "transcription": merge_transcription,
    "noise_reduction": merge_noise_reduction,
    "turn_detection": merge_turn_detection,
}


_TURNS = dict.fromkeys(
    [*ServerVad.model_fields, *SemanticVad.model_fields, "create_response", "interrupt_response"]
)
_PARTS: Known = {
    "format": dict.fromkeys(AudioFormat.model_fields),
    "transcription": dict.fromkeys(Transcription.model_fields),
    "noise_reduction": dict.fromkeys(NoiseReduction.model_fields),
    "turn_detection": _TURNS,
}
_KNOWN: Known = {
    **dict.fromkeys(["type", "include", *MEANINGLESS]),
    "audio": {"input": _PARTS, "output": None},
    **{flat: _PARTS[name] for flat, name in LEGACY_NAMES.items()},
}
"""All that OpenAI's session types have, today's and the beta's, and our extensions."""
