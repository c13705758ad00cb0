// Runs in the audio thread: floats in, a tenth of a second of 16-bit samples and its loudness out.

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.samples = new Int16Array(Math.round(sampleRate / 10));
    this.filled = 0;
    this.energy = 0;
    this.isOver = false;
    // The only message there is: send what is left, then null.
    this.port.onmessage = () => {
      this.flush();
      this.port.postMessage(null);
      this.isOver = true;
    };
  }

  process([[channel]]) {
    for (const sample of channel ?? []) {
      this.samples[this.filled++] = Math.max(-1, Math.min(1, sample)) * 32_767;
      this.energy += sample * sample;
      if (this.filled === this.samples.length) this.flush();
    }
    return !this.isOver;
  }

  flush() {
    if (!this.filled || this.isOver) return;
    const samples = this.samples.slice(0, this.filled);
    this.port.postMessage({ samples, loudness: Math.sqrt(this.energy / this.filled) }, [samples.buffer]);
    this.filled = 0;
    this.energy = 0;
  }
}

registerProcessor("recorder", Recorder);
