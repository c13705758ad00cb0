#!/usr/bin/env bash
# Transcribes a file with curl: first the whole text at once, then word by word as an event stream.
# Usage: transcribe.sh [FILE] [BASE_URL]
set -euo pipefail
file=${1:-$(dirname "$0")/../tests/samples/jfk.flac}
url=${2:-http://127.0.0.1:8000}/v1/audio/transcriptions
key="Authorization: Bearer ${OPENAI_API_KEY:-unused}"

curl --fail-with-body --silent --show-error "$url" -H "$key" -F model=whisper-1 -F "file=@$file"
echo

# --no-buffer shows each event when it comes.
curl --fail-with-body --silent --show-error --no-buffer "$url" -H "$key" -F model=whisper-1 -F stream=true -F "file=@$file"
