"""The flow of a recording and of a microphone: bytes in, transcript events out."""
