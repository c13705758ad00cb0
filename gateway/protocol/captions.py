"""A live session's captions as those read them who have its link: what a caption is now, not how it grew."""

from typing import Annotated, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from gateway.protocol.events import about


class CaptionPart(TypedDict):
    """What one speaker said of a caption."""

    speaker: Annotated[str, about("Who speaks.")]
    text: Annotated[str, about("What is said.")]


class Caption(TypedDict):
    """A caption as it is now; it replaces an earlier one with its id."""

    id: Annotated[str, about("Names it.")]
    text: Annotated[str, about("All of it so far; empty where there is none after all.")]
    settled: Annotated[bool, about("It does not change any more.")]
    segments: NotRequired[Annotated[list[CaptionPart], about("Where speakers are told apart.")]]


class CaptionsEvent(TypedDict):
    """What changed since the event before; the first one, a snapshot, has all that is kept."""

    type: Annotated[
        Literal["captions", "captions.snapshot"], about("A snapshot replaces all captions before it.")
    ]
    captions: Annotated[list[Caption], about("Those that are new or changed.")]
