"""Whisper on CTranslate2: features, decoding, alignment, windows."""
