"""``gateway doctor`` asks each upstream what a start would ask it."""

import pytest
from pydantic import SecretStr

from gateway.cli.checks_upstream import check_upstreams
from gateway.settings import Settings
from tests.upstream_server import gpt_4o, upstream_server, whisper_1


def test_none() -> None:
    """Nothing to ask."""
    assert [finding.text for finding in check_upstreams(Settings(model=("base",)))] == ["none"]


@pytest.mark.slow
def test_found() -> None:
    """What they do and do not; who does not let us in, or is not there, is a problem with a remedy."""
    with upstream_server(whisper_1, key="right") as one, upstream_server(gpt_4o) as other:
        sources = (f"a=openai:{one.url}+{other.url}#m", f"b=openai:{one.url}#m", "c=openai:nowhere")
        right = Settings(model=sources[:1], upstream_key=SecretStr("right"))
        wrong = Settings(model=sources[1:], upstream_key=SecretStr("sk-wrong"))
        found = list(check_upstreams(right))
        bad = list(check_upstreams(wrong))
        port = other.port
    [gone] = check_upstreams(Settings(model=(f"a=openai:http://127.0.0.1:{port}/v1#m",)))

    assert [finding.level for finding in found] == ["ok", "ok"]
    assert "with word times, segment times, translation; without log-probabilities" in found[0].text
    assert "serves m, with log-probabilities; without word times" in found[1].text
    assert [finding.level for finding in bad] == ["problem", "problem"]
    assert "refuses the key" in bad[0].text
    assert "sk-wrong" not in bad[0].text
    assert "needs a URL" in bad[1].text
    assert (gone.level, bool(gone.remedy)) == ("problem", True)
    assert "cannot be reached" in gone.text
