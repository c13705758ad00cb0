// The microphone, as 16-bit samples of one channel.

const RATE = 24_000;

export class Microphone {
  // `onBlock` gets each tenth of a second: { samples: Int16Array, loudness: 0 to 1 }.
  static async open(onBlock) {
    if (!navigator.mediaDevices) throw new Error("Browsers give a microphone to https and localhost only.");
    const stream = await navigator.mediaDevices.getUserMedia({
      // Filters made for telephone calls cost words; the server has its own.
      audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
    try {
      return await new Microphone(stream).connect(onBlock);
    } catch (error) {
      stream.getTracks().forEach((track) => track.stop());
      throw error;
    }
  }

  constructor(stream) {
    this.stream = stream;
  }

  async connect(onBlock) {
    const source = this.source();
    await this.context.audioWorklet.addModule(new URL("./recorder.js", import.meta.url));
    this.recorder = new AudioWorkletNode(this.context, "recorder", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
    });
    this.over = new Promise((resolve) => {
      this.recorder.port.onmessage = ({ data }) => (data === null ? resolve() : onBlock(data));
    });
    source.connect(this.recorder);
    await this.context.resume();
    return this;
  }

  source() {
    this.context = new AudioContext({ sampleRate: RATE });
    try {
      return this.context.createMediaStreamSource(this.stream);
    } catch {
      // Firefox does not resample microphones. Any rate from 8 to 48 kHz will do here; OpenAI knows 24 only.
      this.context.close();
      this.context = new AudioContext();
      return this.context.createMediaStreamSource(this.stream);
    }
  }

  get rate() {
    return this.context.sampleRate;
  }

  // Resolves when `onBlock` had the last samples.
  stop() {
    this.stopped ??= this.close();
    return this.stopped;
  }

  async close() {
    this.recorder.port.postMessage("stop");
    await this.over;
    this.stream.getTracks().forEach((track) => track.stop());
    await this.context.close();
  }
}
