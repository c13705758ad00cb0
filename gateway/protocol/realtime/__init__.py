"""The wire of OpenAI's Realtime transcription sessions, sans-I/O: frames in, commands and frames out."""
