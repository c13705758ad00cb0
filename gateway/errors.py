"""The one error tree: every exception of ours that crosses a module. It has three branches.

A `GatewayError` is what a client may be told, an `OperatorError` is for the operator, and a `Notice` is what
modules tell each other.
"""

import difflib
import re
from collections.abc import Iterable
from typing import Literal, Self

NEAR = 0.7
"""By `difflib`'s ratio: what is nearer to a name than this was probably meant to be it."""

MAX_NAME = 100
"""Characters of a stranger's name that are compared: the comparison takes longer than their number."""

SUPPORTED_FORMATS = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")
"""The file formats named in OpenAI's own error text. Many more are decoded: `gateway.audio.containers`."""


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, if one is near enough."""
    found = difflib.get_close_matches(name[:MAX_NAME], list(known), n=1, cutoff=NEAR)
    return found[0] if found else None


_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


class GatewayError(Exception):
    """An error whose message may be shown to the client. It knows its HTTP status, but no HTTP library.

    Attributes:
        message: One or two sentences for the client, without paths, keys or transcript text.
        param: The request parameter at fault, if one is.
        code: A machine-readable word, if OpenAI has one for this error.
        retry_after: Whole seconds after which a retry makes sense, at least 1.
        reason: A word for operators, in metrics and logs: which limit it was, where clients are told one code
            for all of them. One of a few dozen, never what a client sent.
    """

    status = 500
    default_code: str | None = None
    default_reason = "internal"
    is_traced = True
    """Where it was raised tells an operator something."""

    def __init_subclass__(cls) -> None:
        cls.default_reason = _WORD.sub("_", cls.__name__.removesuffix("Error")).lower()

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code if code is not None else self.default_code
        self.retry_after = retry_after
        self.reason = reason or self.code or self.default_reason

    @property
    def type(self) -> Literal["invalid_request_error", "server_error"]:
        """Whose mistake it is, in OpenAI's words."""
        return "invalid_request_error" if self.status < 500 and self.status != 429 else "server_error"

    def under(self, param: str | None, *, in_message: bool = False) -> Self:
        """The same error, of a parameter that the client knows as ``param``.

        Args:
            in_message: The message names the parameter in quotes, and shall name it so, too.
        """
        # Not by `copy`: that calls the constructor with the arguments of `Exception`.
        error = type(self).__new__(type(self), *self.args)
        error.__dict__.update(self.__dict__)
        if in_message:
            error.message = self.message.replace(f"'{self.param}'", f"'{param}'")
        error.param = param
        return error


class InvalidRequestError(GatewayError):
    """A parameter is missing, malformed or contradicts another."""

    status = 400


class UnsupportedValueError(InvalidRequestError):
    """The value is well formed, but this model or format cannot serve it."""

    default_code = "unsupported_value"


class InvalidAudioError(InvalidRequestError):
    """The file is not audio we can decode, or its length is outside the limits."""

    def __init__(self, message: str | None = None, *, param: str = "file", code: str | None = None) -> None:
        if message is None:
            message = f"Invalid file format. Supported formats: {list(SUPPORTED_FORMATS)}"
        super().__init__(message, param=param, code=code)


class AudioTooLongError(InvalidAudioError):
    """More audio than is accepted, as decoded or as its packets add up."""

    def __init__(self, max_seconds: float) -> None:
        super().__init__(
            f"Audio file is too long. Maximum audio length is {max_seconds:g} seconds.",
            code="audio_too_long",
        )


class AuthenticationError(GatewayError):
    """No key, or one that is not accepted."""

    status = 401
    default_code = "invalid_api_key"


class PermissionDeniedError(GatewayError):
    """Who asks is known, or not even that, and may not do this."""

    status = 403


class NotFoundError(GatewayError):
    """No such path."""

    status = 404


class ModelNotFoundError(NotFoundError):
    """The model is not served here."""

    default_code = "model_not_found"

    def __init__(self, model: str, served: tuple[str, ...]) -> None:
        nearest = nearest_name(model, served)
        hint = f" Did you mean '{nearest}'?" if nearest else ""
        super().__init__(
            f"The model '{model}' does not exist here.{hint} Served models: {', '.join(served)}.",
            param="model",
        )


class MethodNotAllowedError(GatewayError):
    """The path exists, the method does not; ``allow`` holds those that do, as the header of that name."""

    status = 405

    def __init__(self, message: str, allow: str | None = None) -> None:
        super().__init__(message)
        self.allow = allow


class UploadTimeoutError(GatewayError):
    """The client stopped sending its body."""

    status = 408


class PayloadTooLargeError(GatewayError):
    """The upload is over the limit."""

    status = 413


class OverloadedError(GatewayError):
    """The queue is full; the client should come back after ``retry_after`` seconds."""

    status = 429
    default_code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after: int = 1, reason: str = "overloaded") -> None:
        super().__init__(message, retry_after=retry_after, reason=reason)


class EngineFailedError(GatewayError):
    """The engine could not decode a chunk; the reason is in the log, not here."""


class UnavailableError(GatewayError):
    """No worker can serve at the moment. Its text says why."""

    status = 503
    is_traced = False


class ShuttingDownError(UnavailableError):
    """The server ends before the answer is complete."""

    def __init__(self) -> None:
        super().__init__(
            "The server is shutting down. Please try again.", retry_after=1, reason="shutting_down"
        )


class OperatorError(Exception):
    """One line for whoever runs the server or the command; it may hold paths, so no client sees it.

    Attributes:
        exit_status: What the command ends with.
    """

    exit_status = 1


class SettingsError(OperatorError):
    """The settings cannot be used; a line for each fault."""

    exit_status = 2

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class StartError(OperatorError):
    """The server cannot start."""


class ModelUnavailableError(OperatorError):
    """A model cannot be found or fetched."""


class DeviceUnavailableError(ModelUnavailableError):
    """The device that was asked for cannot be used; says what to do."""


class LoadFailedError(OperatorError):
    """An engine could not be loaded. The text is the whole truth.

    Attributes:
        public: What may be shown to anybody.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.public = f"load failed: {kind}"


class StoreError(OperatorError):
    """Something of the model cache cannot be had, added or removed."""


class OutputError(OperatorError):
    """A command's outputs cannot be what was asked for; one line for each reason."""


class Notice(Exception):  # noqa: N818 - it tells of what happens, which need not be an error
    """What modules tell each other. It is handled before anybody is answered."""


class ClientGoneError(Notice):
    """The client left, so there is nobody to answer."""


class SupersededError(Notice):
    """A newer partial of the same stream took this row's place in the queue, as was intended."""


class StdoutError(Notice):
    """Standard output takes no more, so nothing is left to work for.

    Attributes:
        is_closed: Whoever read it has left.
    """

    def __init__(self, reason: str, *, is_closed: bool) -> None:
        super().__init__(reason)
        self.is_closed = is_closed


class WorkerLostError(Notice):
    """A worker is gone, and what it held is not decoded.

    Attributes:
        was_killed: By a SIGKILL, which no program does to itself: an operator or the system's memory ran out.
        in_company: It worked for others, too, whose rows may be to blame.
        kind: Why, in a word for metrics.
    """

    def __init__(
        self,
        reason: str,
        *,
        was_killed: bool = False,
        in_company: bool = False,
        kind: Literal["not_started", "confused", "hung", "unreachable"] | None = None,
    ) -> None:
        super().__init__(reason)
        self.was_killed = was_killed
        self.in_company = in_company
        self.kind: str = kind or ("killed" if was_killed else "died")

    @property
    def is_outage(self) -> bool:
        """It is out of reach, whatever it was asked: no row is to blame."""
        return self.kind == "unreachable"


class WorkerRetiredError(Notice):
    """A worker is not needed any more; it holds nothing that is not decoded."""


class BatchFailedError(Notice):
    """The engine raised for a batch; its worker lives. The text is for the log.

    Attributes:
        out_of_memory: Smaller batches may do.
    """

    def __init__(self, reason: str, *, out_of_memory: bool = False) -> None:
        super().__init__(reason)
        self.out_of_memory = out_of_memory
