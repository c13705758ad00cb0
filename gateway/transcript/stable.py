"""Which words of a hypothesis that is still growing may be emitted: emitted text is never taken back.

A word counts as stable when successive hypotheses agree on it (the "local agreement" of Liu et al. 2020,
"Low-latency sequence-to-sequence speech recognition"), each of which counts as much as it is sure of it, and
when it is not among the last ones, which more sound may change. Case and punctuation do not count: they
change with what follows. What was emitted is continued even where later hypotheses have other words for it.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from gateway.transcript.tokens import raw_of, tokens_after
from gateway.transcript.types import Token
from gateway.transcript.writing import plain

PATIENCE = 6
"""So many successive hypotheses have a word, and it does not get surer: it is what the model hears."""


PHRASE = 4
"""Tokens."""


@dataclass(frozen=True, slots=True)
class StabilityOptions:
    """When a word is emitted.

    Attributes:
        agreement: So many successive hypotheses must have it, 1 or more.
        held_back: So many words at the end of a hypothesis wait for the next one.
        evidence: Its probabilities in these must add up to so much, each that of its least probable token;
            but a word that `PATIENCE` of them have is emitted. 0 does not ask how probable it is.
    """

    agreement: int = 2
    held_back: int = 1
    evidence: float = 0.0


class StableText:
    """The text of one chunk while it is spoken.

    Args:
        emitted: What the hypotheses of the chunk before had of this one: speech without a pause is cut
            behind what was heard.
    """

    def __init__(self, options: StabilityOptions, emitted: Sequence[Token] = ()) -> None:
        self._options = options
        self._recent: deque[tuple[Token, ...]] = deque(maxlen=max(options.agreement, PATIENCE))
        self.emitted: tuple[Token, ...] = tuple(emitted)
        """What was emitted; the bytes of what is emitted next follow on theirs."""

    def partial(
        self, tokens: Sequence[Token], *, paused: bool = False, spaced: bool = True
    ) -> tuple[Token, ...]:
        """Takes the next hypothesis of all that was heard so far.

        Args:
            paused: The speaker has paused, so the last words are complete.
            spaced: The language writes spaces between words; without, each token counts as a word.

        Returns:
            What may be emitted now, beyond what was. Marks behind its last word come with the next one.
        """
        self._recent.append(tuple(tokens))
        rests = [
            _after_marks(self._rest(each, spaced=spaced), spaced=spaced) for each in reversed(self._recent)
        ]
        groups = [_words(rest, spaced=spaced) for _, rest in rests]
        forms = [[plain(raw_of(word).decode()) for word in words] for words in groups]
        shared = [_common(forms[0], words) for words in forms]
        words = groups[0] if paused else groups[0][: max(0, len(groups[0]) - self._options.held_back)]
        stable: list[Token] = []
        for number, word in enumerate(words):
            agreeing = sum(1 for _ in takewhile(lambda length: length > number, shared))  # noqa: B023
            if not self._is_stable([group[number] for group in groups[:agreeing]]):
                break
            stable += word
        if not stable:
            return ()
        return self._emit(rests[0][0] + stable[: len(stable) - (len(_marks(stable)) if spaced else 0)])

    def final(self, tokens: Sequence[Token], *, spaced: bool = True) -> tuple[Token, ...]:
        """Takes the final hypothesis.

        Args:
            spaced: As for `partial`.

        Returns:
            What is still to be emitted. Where the final text differs from what was emitted, its words after
            those that stand for them.
        """
        return self._emit(self._rest(tokens, spaced=spaced, is_final=True))

    def beyond(self, tokens: Sequence[Token], *, spaced: bool = True) -> tuple[Token, ...]:
        """What was emitted after the words that stand for those of the final hypothesis."""
        words, known = _units(tokens, spaced=spaced), _units(self.emitted, spaced=spaced)
        count = _standing_for(
            [plain(word.decode()) for word in words], [plain(word.decode()) for word in known]
        )
        return tuple(tokens_after(self.emitted, sum(len(word) for word in known[:count])))

    def _is_stable(self, heard: Sequence[Sequence[Token]]) -> bool:
        """Whether a word may be emitted that was heard so in the last hypotheses."""
        if len(heard) < self._options.agreement:
            return False
        return len(heard) >= PATIENCE or sum(map(_probability, heard)) >= self._options.evidence

    def _rest(self, tokens: Sequence[Token], *, spaced: bool, is_final: bool = False) -> list[Token]:
        """What follows on what was emitted: by its bytes, else by the words that stand for it."""
        begin = raw_of(self.emitted)
        if raw_of(tokens).startswith(begin):
            rest = tokens_after(tokens, len(begin))
            if is_final or not (spaced and begin and rest and rest[0].text[:1].isalnum()):
                return rest
        words, known = _units(tokens, spaced=spaced), _units(self.emitted, spaced=spaced)
        count = _standing_for(
            [plain(word.decode()) for word in known], [plain(word.decode()) for word in words]
        )
        rest = tokens_after(tokens, sum(len(word) for word in words[:count]))
        if not spaced:
            return rest
        if count == 0 and rest and not rest[0].raw[:1].isspace():
            rest[0] = replace(rest[0], raw=b" " + rest[0].raw, text=f" {rest[0].text}")
        # The marks behind the last word, which was emitted without any.
        is_bare = count > 0 and not _marks(self.emitted)
        return (_marks(_words(tokens, spaced=True)[count - 1]) if is_bare else []) + rest

    def _emit(self, tokens: Sequence[Token]) -> tuple[Token, ...]:
        self.emitted += tuple(tokens)
        return tuple(tokens)


def without_loop(tokens: Sequence[Token]) -> list[Token]:
    """The tokens up to where they begin to say the same again at their end.

    A model that hears half a word may say all of it once more, again and again. Two copies of a phrase are a
    loop, of a word or two it takes three: people say those twice.
    """
    forms = [plain(token.text.strip()) for token in tokens]
    for period in range(1, len(forms) // 2 + 1):
        pairs = zip(reversed(forms), reversed(forms[:-period]), strict=False)
        length = period + sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        if length >= (2 if period >= PHRASE else 3) * period:
            return list(tokens[: len(tokens) - length + period])
    return list(tokens)


def _words(tokens: Sequence[Token], *, spaced: bool) -> list[list[Token]]:
    """Groups of tokens, each of which is whole UTF-8, and begins with a space where words do."""
    groups: list[list[Token]] = []
    for token in tokens:
        is_open = bool(groups) and not _is_whole(raw_of(groups[-1]))
        if groups and (is_open or (spaced and not token.raw[:1].isspace())):
            groups[-1].append(token)
        else:
            groups.append([token])
    if groups and not _is_whole(raw_of(groups[-1])):
        groups.pop()
    return groups


def _probability(word: Sequence[Token]) -> float:
    """That of its least probable token; who knows none is sure."""
    return math.exp(min((token.logprob for token in word if token.logprob is not None), default=0.0))


def _marks(tokens: Sequence[Token]) -> list[Token]:
    """The last tokens, where they are marks that a word is followed by."""
    count = sum(1 for _ in takewhile(_is_mark, reversed(tokens)))
    return list(tokens[-count:]) if 0 < count < len(tokens) else []


def _after_marks(tokens: list[Token], *, spaced: bool) -> tuple[list[Token], list[Token]]:
    """The marks in front, which belong to the word before, and what follows them."""
    count = sum(1 for _ in takewhile(_is_mark, tokens)) if spaced else 0
    return tokens[:count], tokens[count:]


def _is_mark(token: Token) -> bool:
    return bool(token.text) and not any(
        each.isalnum() or each.isspace() or each == "\ufffd" for each in token.text
    )


def _is_whole(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _common(words: Sequence[str], others: Sequence[str]) -> int:
    pairs = zip(words, others, strict=False)
    return next((at for at, (word, other) in enumerate(pairs) if word != other), min(len(words), len(others)))


def _standing_for(known: Sequence[str], words: Sequence[str]) -> int:
    """How many of ``words``, from the first on, stand for those ``known``: nothing is lost or comes twice."""
    same = _common(known, words)
    # More words than twice as many cannot be cheapest: to stand for none would be.
    tail = words[same : 2 * len(known) - same]
    costs = list(range(len(tail) + 1))
    for one in known[same:]:
        before, costs = costs, [costs[0] + 1]
        for at, word in enumerate(tail):
            costs.append(min(before[at] + (one != word), before[at + 1] + 1, costs[at] + 1))
    # Of equals, the one that ends with the same word, so that this does not come twice.
    return min(
        range(same, same + len(costs)),
        key=lambda at: (costs[at - same], words[max(at - 1, 0) : at] != known[-1:], abs(at - len(known))),
    )


def _units(tokens: Sequence[Token], *, spaced: bool) -> list[bytes]:
    """What is compared: words, or characters where two hypotheses may split the same text differently."""
    if spaced:
        return [raw_of(word) for word in _words(tokens, spaced=True)]
    return [character.encode() for character in raw_of(tokens).decode(errors="ignore")]
