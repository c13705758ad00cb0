"""``gateway transcribe``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from gateway.cli.common import complete_model, fail, read_settings


def transcribe(  # noqa: PLR0913 - a command's flags are its arguments
    *,
    files: Annotated[
        list[str],
        typer.Argument(help="Recordings, or films with sound; - is standard input.", metavar="FILE…"),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="A name (small, large-v3-turbo), a hub id or a local folder.",
            metavar="NAME_OR_PATH",
            show_default="the best at hand",
            autocompletion=complete_model,
        ),
    ] = None,
    response_format: Annotated[
        Literal["text", "json", "verbose_json", "diarized_json", "srt", "vtt"],
        typer.Option("--format", help="What is printed or written.", case_sensitive=False),
    ] = "text",
    language: Annotated[
        str | None,
        typer.Option(help="The language spoken, as code or English name.", show_default="detected"),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="Text that might have come before: sets spelling and style.")
    ] = None,
    keyword: Annotated[
        list[str] | None, typer.Option(help="A name or term that may be said. Repeatable.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="How freely tokens are drawn, up to 2.")] = 0.0,
    task: Annotated[
        Literal["transcribe", "translate"], typer.Option(help="translate: into English.")
    ] = "transcribe",
    track: Annotated[
        int | None,
        typer.Option(help="Which sound track of a film, from 1.", min=1, show_default="one with sound"),
    ] = None,
    speakers: Annotated[
        bool, typer.Option("--speakers", help="Tell who speaks; in text, each turn is a line.")
    ] = False,
    known: Annotated[
        list[str] | None,
        typer.Option(
            help="Speakers, of whom this one has a name: a file with 2 to 10 s of the voice. Repeatable.",
            metavar="NAME=FILE",
        ),
    ] = None,
    channels: Annotated[
        Literal["speakers"] | None,
        typer.Option(help="speakers: one person speaks on each channel, as in recordings of calls."),
    ] = None,
    word_times: Annotated[bool, typer.Option("--word-times", help="Words' times in verbose_json.")] = False,
    stream: Annotated[
        bool, typer.Option("--stream", help="Print the text as it becomes known; json: as events.")
    ] = False,
    output_dir: Annotated[
        Path | None, typer.Option(help="Write a file for each input into this folder instead of printing.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.", show_default="auto")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes.", show_default="1")] = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error.", show_default="warning")
    ] = None,
) -> None:
    """Transcribe files without a server. The GATEWAY_ variables of the server hold here too.

    Text goes to standard output in the order of the files. Of several files
    each line begins with its file's name, and JSON objects hold it as "file".
    A file that fails is named, the others go on, and the exit status is 1.
    """
    from gateway.cli.batch import Wishes, run  # noqa: PLC0415 - see the package's docstring
    from gateway.errors import InvalidRequestError  # noqa: PLC0415
    from gateway.protocol.parse import parse_transcription  # noqa: PLC0415
    from gateway.protocol.references import check_names  # noqa: PLC0415

    settings = read_settings(
        {"model": (model,) if model else None, "device": device, "workers": workers, "log_level": log_level}
    )
    fields = [
        # No name of OpenAI's that bills tokens: JSON answers tell seconds.
        ("model", "whisper-1"),
        ("response_format", response_format),
        ("temperature", str(temperature)),
        ("stream", str(stream).lower()),
        *(("language", value) for value in (language,) if value is not None),
        *(("prompt", value) for value in (prompt,) if value is not None),
        *(("keywords[]", value) for value in keyword or ()),
        *(("track", str(value)) for value in (track,) if value is not None),
        *(("channels", value) for value in (channels,) if value is not None),
    ]
    if word_times:
        if response_format != "verbose_json":
            fail(
                "--word-times needs --format verbose_json; srt and vtt are cut by word times anyway", status=2
            )
        fields += [("timestamp_granularities[]", value) for value in ("word", "segment")]
    voices = [tuple(one.partition("=")[::2]) for one in known or ()]
    if any(not (name and file) for name, file in voices):
        fail("--known takes NAME=FILE", status=2)
    try:
        request = parse_transcription(fields)
        check_names([name for name, _ in voices])
    except InvalidRequestError as error:
        fail(error.message, status=2)
    if channels and known:
        fail("--known and --channels do not go together: the channels say who speaks", status=2)
    if (speakers or known or channels) and task == "translate":
        fail("--speakers, --channels and --task translate do not go together", status=2)
    wishes = Wishes(
        tuple(files),
        request,
        task,
        output_dir,
        overwrite=overwrite,
        speakers=speakers or bool(known) or request.by_channel or request.wants_speakers,
        known=tuple((name, Path(file)) for name, file in voices),
    )
    raise typer.Exit(run(wishes, settings))
