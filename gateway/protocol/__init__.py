"""OpenAI's wire, sans-I/O: strings and dicts in, requests out; transcripts in, strings and dicts out."""
