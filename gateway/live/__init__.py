"""Live captions: a microphone's samples in, utterances and their growing text out."""
