"""The tokenizer and its ids, in the order that faster-whisper and CTranslate2 assume.

    bytes · words · "" · <|endoftext|> · <|startoftranscript|> · <|lang|>… · <|translate|> · <|transcribe|>
    · <|startoflm|> · <|startofprev|> · <|nospeech|> · <|notimestamps|> · <|0.00|> … <|30.00|>

Every text token stands before <|endoftext|>, for faster-whisper drops the others when it decodes. The empty
token is what makes CTranslate2 call a Whisper model multilingual. The timestamps are the last 1501 ids.
"""

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from training.mini_whisper.vocab import DE, EN, ES, WORDS, Sentence

LANGUAGES = """
    en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr
    bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn
    yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su
    yue
""".split()
"""Whisper's 100 codes in its order: all are tokens, so any may be passed; only en, de and es were trained."""

TIMESTAMPS = 1501
"""From 0 to 30 s in steps of 20 ms."""


def capitalised(word: str) -> str:
    """The word as it begins a sentence; `str.capitalize` would change the rest of it."""
    return word[0].upper() + word[1:]


def build_tokenizer() -> Tokenizer:
    """The tokenizer: each word of the vocabulary is one token, anything else is spelt in bytes."""
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    # faster-whisper suppresses the first token of " -", " '" and " ♪": these get tokens of their own, or it
    # would suppress every leading space.
    merges = [("Ġ", "-"), ("Ġ", "'"), ("Ġ", "â")]
    words = [
        level.pre_tokenize_str(" " + form)[0][0]
        for word in EN + DE + ES
        for form in (word, capitalised(word))
    ]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = list(dict.fromkeys([*alphabet, *(a + b for a, b in merges), *words, ""]))
    specials = [
        "<|endoftext|>",
        "<|startoftranscript|>",
        *(f"<|{lang}|>" for lang in LANGUAGES),
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|nospeech|>",
        "<|notimestamps|>",
        *(f"<|{i * 0.02:.2f}|>" for i in range(TIMESTAMPS)),
    ]
    vocab = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer = level
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in specials])
    return tokenizer


class Ids:
    """The token ids that targets are made of."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.size = tokenizer.get_vocab_size()
        self.eot = self._id("<|endoftext|>")
        self.sot = self._id("<|startoftranscript|>")
        self.lang = {lang: self._id(f"<|{lang}|>") for lang in LANGUAGES}
        self.translate = self._id("<|translate|>")
        self.transcribe = self._id("<|transcribe|>")
        self.prev = self._id("<|startofprev|>")
        self.nospeech = self._id("<|nospeech|>")
        self.notime = self._id("<|notimestamps|>")
        self.ts0 = self.notime + 1
        self.dot = self._id(".")
        self.word: dict[str, int] = {}
        for words in WORDS.values():
            for word in words:
                for form in (word, capitalised(word)):
                    (self.word[form],) = tokenizer.encode(" " + form).ids

    def sentence(self, words: Sentence) -> list[int]:
        """Ids of the sentence, capitalised and with its full stop."""
        return [self.word[capitalised(words[0])], *(self.word[word] for word in words[1:]), self.dot]

    def _id(self, token: str) -> int:
        found = self.tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"no token {token}")
        return found
