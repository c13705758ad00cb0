"""Named models become specs; what cannot be is one line."""

import pytest
from pydantic import SecretStr

from gateway.engine.upstream.spec import UpstreamSpec
from gateway.engine.whisper.engine import WhisperSpec
from gateway.errors import ModelUnavailableError, StartError
from gateway.metrics import Metrics
from gateway.runtime.plans import find_spec, plan_models
from gateway.runtime.workers import make_batcher
from gateway.settings import ModelSettings, Settings


def test_options_reach_the_spec(mini_whisper: WhisperSpec) -> None:
    """What the operator set goes to the folder's engine."""
    settings = Settings(
        device="cpu",
        model=(str(mini_whisper.path),),
        compute_type="float32",
        lanes=2,
        cpu_threads=6,
        max_batch=5,
        beam_size=1,
        audio_context="fit",
    )
    spec = find_spec(settings)

    assert isinstance(spec, WhisperSpec)
    assert (spec.name, spec.path, spec.device) == ("model", mini_whisper.path, "cpu")
    assert (spec.compute_type, spec.lanes, spec.cpu_threads) == ("float32", 2, 3)
    assert (spec.max_batch, spec.beam_size) == (5, 1)
    assert spec.audio_context == "fit"


def test_a_model_s_own_settings_go_first(mini_whisper: WhisperSpec) -> None:
    """Beam and context are each model's; unset ones are the server's."""
    source = str(mini_whisper.path)
    own = ModelSettings(source=source, name="own", beam_size=2, audio_context="full")
    settings = Settings(device="cpu", audio_context="fit", models=(ModelSettings(source=source), own))
    specs = [plan.find() for plan in plan_models(settings)]

    assert all(isinstance(spec, WhisperSpec) for spec in specs)
    assert [(spec.beam_size, spec.audio_context) for spec in specs if isinstance(spec, WhisperSpec)] == [
        (5, "fit"),
        (2, "full"),
    ]


def test_upstreams(mini_whisper: WhisperSpec) -> None:
    """A source of that kind is served over the network; its key is its own or the server's, and not shown."""
    own = ModelSettings(source="openai:https://c/v1#whisper-1", name="c", key=SecretStr("sk-own"))
    settings = Settings(
        device="cpu",
        model=("asr=openai:https://a/v1+https://b/v1#large", str(mini_whisper.path)),
        models=(own,),
        upstream_key=SecretStr("sk-all"),
        upstream_timeout=9.0,
        lanes=3,
    )
    plans = plan_models(settings)
    first, _, third = (plan.find() for plan in plans)

    assert first == UpstreamSpec("asr", ("https://a/v1", "https://b/v1"), "large", "sk-all", 9.0, 3)
    assert third == UpstreamSpec("c", ("https://c/v1",), "whisper-1", "sk-own", 9.0, 3)
    assert [plan.is_remote for plan in plans] == [True, False, True]
    assert len(make_batcher(first, settings, Metrics()).state) == 2
    assert "sk-" not in f"{settings!r} {first!r}"


@pytest.mark.parametrize(
    "source", ["openai:https://host/v1", "openai:host/v1#m", "x=openai:https://k@host/v1"]
)
def test_bad_upstreams(source: str) -> None:
    """Are one line, before anything is asked."""
    with pytest.raises(ModelUnavailableError):
        plan_models(Settings(model=(source,)))


def test_keys_of_upstreams() -> None:
    """A line's end behind one is none of it; what no header can carry is one line, without the key."""
    source = "openai:https://host/v1#m"
    spec = find_spec(Settings(model=(source,), upstream_key=SecretStr(" sk-1\r\n")))
    for key in ("sk-\nsecret", "sk-secr\u00e9t", "sk-\0secret"):
        with pytest.raises(ModelUnavailableError, match="the key of the upstream m has") as caught:
            plan_models(Settings(models=(ModelSettings(source=source, key=SecretStr(key)),)))[0].find()
        assert "sk-" not in str(caught.value)

    assert isinstance(spec, UpstreamSpec)
    assert spec.key == "sk-1"


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"ray_replicas": 4, "ray_max_replicas": 2}, "MAX_REPLICAS is 2, fewer than the 4"),
        ({"ray_gpus": 1.5}, "GPUS is 1.5, but more than one are whole ones"),
        ({"ray_gpus": 0.00001}, "GPUS is 1e-05, but Ray counts"),
        ({"ray_cpus": 1.00001}, "CPUS is 1.00001, but Ray counts"),
    ],
)
def test_replicas_that_no_cluster_has(wish: dict[str, object], words: str) -> None:
    """Before one is joined: Ray would say so to nobody, or give something else."""
    settings = Settings.model_validate({"engines": "ray:127.0.0.1:1", **wish})
    with pytest.raises(StartError, match=f"GATEWAY_RAY_{words}"):
        plan_models(settings)


@pytest.mark.parametrize("wish", [{"workers": 2}, {"devices": "cpu,cpu"}])
def test_a_cluster_takes_no_wishes_for_this_machine(wish: dict[str, object]) -> None:
    """They would be ignored."""
    settings = Settings.model_validate({"engines": "ray:auto", **wish})
    with pytest.raises(StartError, match="GATEWAY_RAY_REPLICAS"):
        plan_models(settings)
