"""Settings from environment and flags: read once, frozen, passed in. Nothing else reads the environment."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _split(value: Any) -> Any:
    """``a,b`` as an environment variable holds a list."""
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Everything an operator can choose. Each field is also the environment variable ``GATEWAY_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    model: Names = Field(
        (),
        description="Models to serve: names, hub ids or local folders, the first one answering to OpenAI's "
        "names; none takes the best that is at hand.",
    )
    api_keys: Names = Field((), description="Accepted API keys; none accepts everybody.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where Whisper runs.")
    compute_type: str = Field(
        "auto", description="CTranslate2's number format; auto: int8 on a CPU, float16 on CUDA."
    )
    workers: int = Field(1, ge=1, le=64, description="Worker processes for each model.")
    cpu_threads: int = Field(
        0, ge=0, description="Threads of a worker; 0 shares the cores among the workers."
    )
    max_batch: int = Field(
        0, ge=0, le=256, description="Most chunks in one engine call; 0: 8 on a CPU, 16 on CUDA."
    )
    beam_size: int = Field(5, ge=1, le=16, description="Beam of the decoder; 1 is greedy.")
    row_timeout: float = Field(
        30.0, gt=0, description="Seconds a worker may take for each chunk of a batch before it is replaced."
    )
    default_chunking: Literal["auto", "block"] = Field(
        "auto", description="What an unset chunking_strategy means: VAD, or Whisper's own 30 s windows."
    )
    logprobs: Literal["asked", "always"] = Field(
        "asked", description="always: log-probabilities in every delta, also when include[] did not ask."
    )
    max_upload_bytes: int = Field(25 * 1024 * 1024, ge=1, description="Largest accepted file.")
    max_audio_seconds: float = Field(4 * 3600, gt=0, description="Longest accepted recording, as decoded.")
    upload_timeout: float = Field(
        60.0, gt=0, description="Seconds a client may pause while sending its body."
    )
    max_streams: int = Field(
        64, ge=1, description="Recordings transcribed at the same time; more are answered 429."
    )
    send_timeout: float = Field(60.0, gt=0, description="Seconds a client may stop reading its event stream.")
    shutdown_grace: float = Field(
        5.0, ge=0, description="Seconds that running requests get after SIGTERM or Ctrl-C."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much is logged.")
