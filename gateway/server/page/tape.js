// What was recorded and is not settled yet: it is sent again, should a connection break.

// Half an hour: 86 MB at 24 kHz. Longer than any outage that somebody talks through.
const MOST_SECONDS = 1_800;

export class Tape {
  constructor(rate) {
    this.rate = rate;
    this.blocks = [];
    this.end = 0;
    this.lostSeconds = 0;
  }

  // Where the blocks begin, in samples since the first one.
  get begin() {
    return this.blocks.length ? this.blocks[0].at : this.end;
  }

  get seconds() {
    return this.end / this.rate;
  }

  append(samples) {
    this.blocks.push({ at: this.end, samples });
    this.end += samples.length;
    while (this.end - this.begin > MOST_SECONDS * this.rate) {
      this.lostSeconds += this.blocks.shift().samples.length / this.rate;
    }
  }

  // The block that holds this sample, or the next one there is; undefined at the end.
  after(sample) {
    let [low, high] = [0, this.blocks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const block = this.blocks[middle];
      if (block.at + block.samples.length > sample) high = middle;
      else low = middle + 1;
    }
    return this.blocks[low];
  }

  // What lies before is settled.
  forget(sample) {
    let count = 0;
    while (count < this.blocks.length && this.blocks[count].at + this.blocks[count].samples.length <= sample) count += 1;
    this.blocks.splice(0, count);
  }
}
