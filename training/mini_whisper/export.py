"""Writes the CTranslate2 folder that `faster_whisper.WhisperModel` loads."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.converters import utils
from ctranslate2.specs import common_spec, whisper_spec
from tokenizers import Tokenizer

from training.mini_whisper.model import Attention, Block, MiniWhisper
from training.mini_whisper.tokenizer import Ids

ALIGNMENT_HEADS = [[1, 0]]
"""Of the two guided heads, the earlier alone gave the better word times."""

_PREPROCESSOR = {
    "chunk_length": 30,
    "feature_extractor_type": "WhisperFeatureExtractor",
    "feature_size": 80,
    "hop_length": 160,
    "n_fft": 400,
    "n_samples": 480000,
    "nb_max_frames": 3000,
    "padding_side": "right",
    "padding_value": 0.0,
    "processor_class": "WhisperProcessor",
    "return_attention_mask": False,
    "sampling_rate": 16000,
}


def export(model: MiniWhisper, tokenizer: Tokenizer, folder: Path, quantization: str = "int8") -> None:
    """Writes weights, configuration, vocabulary and tokenizer into ``folder``, over what was there."""
    ids = Ids(tokenizer)
    spec = _weights(model)
    inverse = {i: token for token, i in tokenizer.get_vocab().items()}
    tokens = [inverse[i] for i in range(ids.size)]
    spec.register_vocabulary(tokens)
    spec.config.suppress_ids = []
    # Whisper forbids the end of text here as well; this model may say nothing, so that silence stays empty
    # without timestamps too.
    spec.config.suppress_ids_begin = [tokenizer.token_to_id("Ġ")]
    spec.config.lang_ids = sorted(ids.lang.values())
    spec.config.alignment_heads = ALIGNMENT_HEADS
    spec.validate()
    spec.optimize(quantization=quantization)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    vocabulary = json.dumps(tokens, ensure_ascii=False, indent=0)
    (folder / "vocabulary.json").write_text(vocabulary, "utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(_PREPROCESSOR, indent=1), "utf-8")


def _weights(model: MiniWhisper) -> Any:
    shape = model.shape
    spec = whisper_spec.WhisperSpec(shape.enc_layers, shape.heads, shape.dec_layers, shape.heads)
    encoder, decoder = spec.encoder, spec.decoder
    for target, conv in ((encoder.conv1, model.conv1), (encoder.conv2, model.conv2)):
        target.weight, target.bias = _array(conv.weight), _array(conv.bias)
    encoder.position_encodings.encodings = _array(model.enc_pos)
    _norm(encoder.layer_norm, model.enc_norm)
    for target, block in zip(encoder.layer, model.enc, strict=True):
        _block(target, block)
    decoder.embeddings.weight = _array(model.embed.weight)
    decoder.projection.weight = _array(model.embed.weight)
    decoder.scale_embeddings = False
    decoder.position_encodings.encodings = _array(model.dec_pos)
    _norm(decoder.layer_norm, model.dec_norm)
    for target, block in zip(decoder.layer, model.dec, strict=True):
        _block(target, block)
        _cross_attention(target.attention, block.cross)
        _norm(target.attention.layer_norm, block.cross_norm)
    return spec


def _block(spec: Any, block: Block) -> None:
    _self_attention(spec.self_attention, block.attn)
    _norm(spec.self_attention.layer_norm, block.attn_norm)
    _linear(spec.ffn.linear_0, block.fc1)
    _linear(spec.ffn.linear_1, block.fc2)
    _norm(spec.ffn.layer_norm, block.ffn_norm)


def _self_attention(spec: Any, attention: Attention) -> None:
    utils.fuse_linear(spec.linear[0], [_new_linear(p) for p in (attention.q, attention.k, attention.v)])
    _linear(spec.linear[-1], attention.out)


def _cross_attention(spec: Any, attention: Attention) -> None:
    utils.fuse_linear(spec.linear[0], [_new_linear(attention.q)])
    utils.fuse_linear(spec.linear[1], [_new_linear(p) for p in (attention.k, attention.v)])
    _linear(spec.linear[-1], attention.out)


def _new_linear(layer: Any) -> Any:
    spec = common_spec.LinearSpec()
    _linear(spec, layer)
    return spec


def _linear(spec: Any, layer: Any) -> None:
    spec.weight = _array(layer.weight)
    spec.bias = _array(layer.bias) if layer.bias is not None else np.zeros(len(spec.weight), np.float32)


def _norm(spec: Any, layer: Any) -> None:
    spec.gamma, spec.beta = _array(layer.weight), _array(layer.bias)


def _array(tensor: Any) -> np.ndarray:
    array: np.ndarray = tensor.detach().float().cpu().numpy().copy()
    return array
