"""Which words of a hypothesis that is still growing may be emitted: emitted text is never taken back.

A word counts as stable when successive hypotheses agree on it (the "local agreement" of Liu et al. 2020,
"Low-latency sequence-to-sequence speech recognition"), apart from the last ones, which more sound may change.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from gateway.transcript.types import Token


@dataclass(frozen=True, slots=True)
class StabilityOptions:
    """When a word is emitted.

    Attributes:
        agreement: So many successive hypotheses must have it, 1 or more.
        held_back: So many words at the end of a hypothesis wait for the next one.
    """

    agreement: int = 2
    held_back: int = 1


class StableText:
    """The text of one chunk while it is spoken."""

    def __init__(self, options: StabilityOptions) -> None:
        self._options = options
        self._recent: deque[list[bytes]] = deque(maxlen=options.agreement)
        self.emitted: tuple[Token, ...] = ()
        """What was emitted; the bytes of what is emitted next follow on theirs."""

    def partial(
        self, tokens: Sequence[Token], *, paused: bool = False, spaced: bool = True
    ) -> tuple[Token, ...]:
        """Takes the next hypothesis of all that was heard so far.

        Args:
            paused: The speaker has paused, so the last words are complete.
            spaced: The language writes spaces between words; without, each token counts as a word.

        Returns:
            What may be emitted now, beyond what was.
        """
        words = _words(tokens, spaced=spaced)
        written = [_raw(word) for word in words]
        self._recent.append(written)
        if len(self._recent) < self._options.agreement:
            return ()
        agreed = min(_common(written, other) for other in self._recent)
        if not paused:
            agreed = min(agreed, len(words) - self._options.held_back)
        stable = [token for word in words[: max(0, agreed)] for token in word]
        return self._emit(_beyond(stable, self.emitted))

    def final(self, tokens: Sequence[Token], *, spaced: bool = True) -> tuple[Token, ...]:
        """Takes the final hypothesis.

        Args:
            spaced: As for `partial`.

        Returns:
            What is still to be emitted. Where the final text differs from what was emitted, its words after
            those that stand for them.
        """
        rest = _beyond(tokens, self.emitted)
        if rest is None:
            rest = _correspondingly_beyond(tokens, self.emitted, spaced=spaced)
        return self._emit(rest)

    def _emit(self, tokens: Sequence[Token] | None) -> tuple[Token, ...]:
        emitted = tuple(tokens or ())
        self.emitted += emitted
        return emitted


def _words(tokens: Sequence[Token], *, spaced: bool) -> list[list[Token]]:
    """Groups of tokens, each of which is whole UTF-8, and begins with a space where words do."""
    groups: list[list[Token]] = []
    for token in tokens:
        is_open = bool(groups) and not _is_whole(_raw(groups[-1]))
        if groups and (is_open or (spaced and not token.raw[:1].isspace())):
            groups[-1].append(token)
        else:
            groups.append([token])
    if groups and not _is_whole(_raw(groups[-1])):
        groups.pop()
    return groups


def _raw(tokens: Sequence[Token]) -> bytes:
    return b"".join(token.raw for token in tokens)


def _is_whole(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _common(words: Sequence[bytes], others: Sequence[bytes]) -> int:
    pairs = zip(words, others, strict=False)
    return next((at for at, (word, other) in enumerate(pairs) if word != other), min(len(words), len(others)))


def _beyond(tokens: Sequence[Token], emitted: Sequence[Token]) -> list[Token] | None:
    """The tokens whose bytes follow ``emitted``; None where they do not begin with it."""
    begin = _raw(emitted)
    if not _raw(tokens).startswith(begin):
        return None
    return tokens_after(tokens, len(begin))


def tokens_after(tokens: Sequence[Token], position: int) -> list[Token]:
    """The tokens from a byte position on; the one it lies in is cut there."""
    rest = []
    for token, end in zip(tokens, accumulate(len(token.raw) for token in tokens), strict=True):
        if end > position:
            raw = token.raw[max(0, len(token.raw) - (end - position)) :]
            rest.append(replace(token, raw=raw, text=raw.decode(errors="replace")))
    return rest


def _correspondingly_beyond(
    tokens: Sequence[Token], emitted: Sequence[Token], *, spaced: bool
) -> list[Token]:
    """The words after those that are ``emitted`` spelled otherwise: nothing is lost, nothing comes twice."""
    words, known = _units(tokens, spaced=spaced), _units(emitted, spaced=spaced)
    spoken, plain = [_plain(word) for word in known], [_plain(word) for word in words]
    costs = _costs(spoken, plain)
    # Of equals, the one that ends with the same word, so that this does not come twice.
    count = min(
        range(len(costs)),
        key=lambda at: (costs[at], plain[max(at - 1, 0) : at] != spoken[-1:], abs(at - len(known))),
    )
    return tokens_after(tokens, sum(len(word) for word in words[:count]))


def _costs(known: Sequence[str], words: Sequence[str]) -> list[int]:
    """Of each number of ``words`` from the first on, the least changes that make them ``known``."""
    costs = list(range(len(words) + 1))
    for one in known:
        before, costs = costs, [costs[0] + 1]
        for at, word in enumerate(words):
            costs.append(min(before[at] + (one != word), before[at + 1] + 1, costs[at] + 1))
    return costs


def _units(tokens: Sequence[Token], *, spaced: bool) -> list[bytes]:
    """What is compared: words, or characters where two hypotheses may split the same text differently."""
    if spaced:
        return [_raw(word) for word in _words(tokens, spaced=True)]
    return [character.encode() for character in _raw(tokens).decode()]


def _plain(word: bytes) -> str:
    """The word without what only style changes."""
    text = word.decode()
    return "".join(filter(str.isalnum, text.casefold())) or text
