"""The check of upstreams: whether they answer, let us in, and what they can do."""

from collections.abc import Iterator

import anyio

from gateway.engine.devices.cuda import Finding
from gateway.engine.upstream.address import is_upstream
from gateway.engine.upstream.client import Client
from gateway.engine.upstream.forms import Abilities
from gateway.engine.upstream.probe import probe
from gateway.engine.upstream.spec import UpstreamSpec
from gateway.errors import LoadFailedError, ModelUnavailableError, WorkerLostError
from gateway.runtime.plans import upstream_spec
from gateway.settings import ModelSettings, Settings

SECONDS = 20.0
"""For one upstream."""


def check_upstreams(settings: Settings) -> Iterator[Finding]:
    """Each is asked what a start would ask it."""
    wanted = [*(ModelSettings(source=source) for source in settings.model), *settings.models]
    upstreams = [model for model in wanted if is_upstream(model.source)]
    if not upstreams:
        yield Finding("ok", "none")
    for model in upstreams:
        try:
            spec = upstream_spec(model, settings)
        except ModelUnavailableError as error:
            yield Finding("problem", str(error), "Correct it in GATEWAY_MODEL or the settings file")
            continue
        for url in spec.urls:
            yield anyio.run(_ask, spec, url)


async def _ask(spec: UpstreamSpec, url: str) -> Finding:
    try:
        with anyio.fail_after(SECONDS):
            async with Client(url, spec.key, timeout=SECONDS / 2, connections=1) as client:
                found = await probe(client, spec.model)
    except LoadFailedError as error:
        return Finding("problem", f"{spec.name}: {error} ({url})", "Correct its address, model or key")
    except WorkerLostError as error:
        return Finding("problem", f"{spec.name}: {error} ({url})", "Start it, or correct its address")
    except TimeoutError:
        return Finding("problem", f"{spec.name}: no answer within {SECONDS:g} s ({url})")
    return Finding("ok", f"{spec.name}: {url} serves {found.model}, {_described(found.abilities)}")


def _described(able: Abilities) -> str:
    parts = {
        "word times": able.words,
        "segment times": able.verbose,
        "log-probabilities": able.logprobs,
        "translation": able.translates,
    }
    has = ", ".join(name for name, is_there in parts.items() if is_there)
    lacks = ", ".join(name for name, is_there in parts.items() if not is_there)
    return "; ".join(filter(None, [has and f"with {has}", lacks and f"without {lacks}"]))
