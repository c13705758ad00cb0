"""What an operator writes for an upstream: ``name=openai:https://host/v1#model``."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.errors import ModelUnavailableError

SCHEME = "openai:"
_SOURCE = re.compile(rf"(?:(?P<name>[^=:/#]+)=)?{SCHEME}(?P<urls>[^#]*)(?:#(?P<model>.*))?")


@dataclass(frozen=True, slots=True)
class Address:
    """Where an upstream is, and what is wanted of it.

    Attributes:
        urls: Base URLs that serve the same model, without a slash at their end; each gets a replica.
        model: Its name there; None where the upstream has only one.
        name: Its name here; None: that of there.
    """

    urls: tuple[str, ...]
    model: str | None = None
    name: str | None = None


def is_upstream(source: str) -> bool:
    """The source names an upstream, rightly or not."""
    return source.startswith(SCHEME) or f"={SCHEME}" in source


def parse_address(source: str) -> Address:
    """Takes such a source apart; several URLs are joined by ``+``.

    Raises:
        ModelUnavailableError: It cannot be one.
    """
    match = _SOURCE.fullmatch(source.strip())
    if match is None:
        raise ModelUnavailableError(f"an upstream is written name={SCHEME}https://host/v1#model")
    urls = tuple(_checked(url.strip()) for url in re.split(r"(?i)\+(?=https?:)", match["urls"]))
    if len(set(urls)) < len(urls):
        raise ModelUnavailableError("an upstream names the same URL twice")
    return Address(urls, (match["model"] or "").strip() or None, match["name"])


def _checked(url: str) -> str:
    from httpx2 import URL, InvalidURL  # noqa: PLC0415 - an HTTP library, if wanted

    # What is wrong is not shown: it may hold a key.
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        # Who asks there reads it by rules of its own.
        is_right = is_right and bool(URL(url).host) and not re.search(r"\s", url)
    except (ValueError, InvalidURL):
        is_right = False
    if not is_right:
        raise ModelUnavailableError(
            f"an upstream needs a URL, as {SCHEME}https://host/v1#model: http or https, and a host"
        )
    if "://" in parts.path:
        raise ModelUnavailableError(
            f"several URLs of an upstream are joined by +, as {SCHEME}https://one/v1+https://two/v1#model"
        )
    if parts.username is not None or "?" in url:
        raise ModelUnavailableError(
            f"the URL of the upstream at {parts.hostname} holds a key or a query: the key belongs into "
            "GATEWAY_UPSTREAM_KEY, or `key` of the model in the settings file"
        )
    return url.rstrip("/")
