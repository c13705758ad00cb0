// A microphone, or the sound of a tab, as 16-bit samples of one channel.

const RATE = 24_000;

const REASONS = {
  NotAllowedError: "The browser was not allowed to listen. Allow the microphone for this page, then start again.",
  NotFoundError: "There is no microphone. Plug one in, or choose another source.",
  NotReadableError: "The microphone is in use by another program.",
  OverconstrainedError: "That microphone is not there any more. Choose another source.",
  AbortError: "The browser could not start the microphone.",
};

export class Microphone {
  // `onBlock` gets each tenth of a second: { samples: Int16Array, loudness: 0 to 1 }; `onEnd` hears that it was
  // unplugged, or that the tab is shared no longer.
  static async open(device, { onBlock, onEnd }) {
    if (!navigator.mediaDevices) {
      throw new Error("Browsers give a microphone to https and localhost only. Open this page by https, or on the server itself.");
    }
    const stream = await capture(device);
    try {
      return await new Microphone(stream, onEnd).connect(onBlock);
    } catch (error) {
      stream.getTracks().forEach((track) => track.stop());
      throw error;
    }
  }

  constructor(stream, onEnd) {
    this.stream = stream;
    stream.getAudioTracks()[0].addEventListener("ended", onEnd);
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

// The microphones by name; browsers tell names only once they were allowed to listen.
export async function listMicrophones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices.filter(({ kind, label, deviceId }) => kind === "audioinput" && label && deviceId !== "default");
}

async function capture(device) {
  // Filters made for telephone calls cost words; the server has its own.
  const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  try {
    if (device === "tab") return await captureTab(audio);
    return await navigator.mediaDevices.getUserMedia({ audio: device ? { ...audio, deviceId: { exact: device } } : audio });
  } catch (error) {
    throw new Error(REASONS[error.name] ?? error.message);
  }
}

async function captureTab(audio) {
  if (!navigator.mediaDevices.getDisplayMedia) throw new Error("This browser cannot listen to tabs; Chrome and Edge can.");
  const stream = await navigator.mediaDevices.getDisplayMedia({ audio, video: true, systemAudio: "include" });
  if (stream.getAudioTracks().length) return stream;
  stream.getTracks().forEach((track) => track.stop());
  throw new Error("That was shared without its sound. Share it again, and tick “Also share audio”.");
}
