import t from "tap";
import { closeFrame, WebSocketFrames } from "./web-socket-frames.ts";

type FrameOptions = {
  readonly opcode: number;
  readonly length: number;
  readonly masked?: boolean;
  readonly final?: boolean;
};

/** A frame (RFC 6455 §5.2) whose payload looks like the beginnings of other frames. */
function frame({ opcode, length, masked = false, final = true }: FrameOptions): Buffer {
  const size = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + size);
  head[0] = (final ? 0x80 : 0) | opcode;
  head[1] = (masked ? 0x80 : 0) | (size === 0 ? length : size === 2 ? 126 : 127);
  if (size === 2) head.writeUInt16BE(length, 2);
  if (size === 8) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([
    head,
    masked ? Buffer.from([0x88, 0xff, 0x01, 0x7e]) : Buffer.alloc(0),
    Buffer.alloc(length, 0x88),
  ]);
}

const [continuation, text, binary, close, ping, pong] = [0x0, 0x1, 0x2, 0x8, 0x9, 0xa];

t.test("WebSocketFrames.push() tells data from control frames", async (t) => {
  for (const masked of [false, true]) {
    for (const opcode of [continuation, text, binary]) {
      t.equal(new WebSocketFrames().push(frame({ opcode, length: 5, masked })), true, `opcode ${opcode}`);
    }
    for (const opcode of [close, ping, pong]) {
      t.equal(new WebSocketFrames().push(frame({ opcode, length: 5, masked })), false, `opcode ${opcode}`);
    }
  }
});

t.test("WebSocketFrames.push() takes a frame without a payload for one", async (t) => {
  t.equal(new WebSocketFrames().push(frame({ opcode: text, length: 0 })), true);
  t.equal(new WebSocketFrames().push(frame({ opcode: ping, length: 0, masked: true })), false);
});

t.test("WebSocketFrames.push() reads lengths of 7, 16 and 64 bits, masked or not", async (t) => {
  for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 200_000]) {
    for (const masked of [false, true]) {
      const frames = new WebSocketFrames();
      const whole = frame({ opcode: ping, length, masked });
      t.equal(frames.push(whole.subarray(0, -1)), false);
      t.equal(frames.atBoundary, false, `${length} bytes, the last one missing`);
      frames.push(whole.subarray(-1));
      t.equal(frames.atBoundary, true, `${length} bytes`);
      t.equal(frames.push(frame({ opcode: text, length: 1 })), true, "the next frame is read as one");
      t.equal(frames.atBoundary, true);
    }
  }
});

t.test("WebSocketFrames.push() believes a length of more than four bytes", async (t) => {
  const frames = new WebSocketFrames();
  const head = Buffer.alloc(10);
  head[0] = 0x82;
  head[1] = 127;
  head.writeBigUInt64BE(2n ** 40n, 2);
  frames.push(head);
  const mebibyte = Buffer.alloc(1 << 20, 0x88);
  for (let index = 0; index < 100; index++) frames.push(mebibyte);
  t.equal(frames.closed, false, "the payload is no frame");
  t.equal(frames.atBoundary, false);
});

t.test("WebSocketFrames says the same however the bytes are cut", async (t) => {
  const parts = [
    { opcode: text, length: 3, masked: true, final: false },
    { opcode: ping, length: 0 },
    { opcode: continuation, length: 126, masked: true },
    { opcode: pong, length: 4 },
    { opcode: binary, length: 0 },
  ];
  const stream = Buffer.concat(parts.map(frame));
  // A frame is known for one of data with the last byte of its head.
  const isData = parts.flatMap((part) => {
    const head = frame(part).length - part.length;
    return Array.from(frame(part), (_, index) => index >= head - 1 && part.opcode < close);
  });
  const ends = parts.map((_, index) => Buffer.concat(parts.slice(0, index + 1).map(frame)).length);
  const cutAt = (...cuts: number[]) => {
    const frames = new WebSocketFrames();
    let from = 0;
    for (const to of [...cuts, stream.length]) {
      const data = frames.push(stream.subarray(from, to));
      if (data !== isData.slice(from, to).includes(true)) return `bytes ${from} to ${to} are taken for ${data}`;
      if (frames.atBoundary !== (to === 0 || ends.includes(to))) return `at ${to} a boundary is ${frames.atBoundary}`;
      from = to;
    }
    return frames.closed ? "a close frame" : undefined;
  };
  t.equal(cutAt(...Array.from(stream.subarray(1), (_, index) => index + 1)), undefined, "byte by byte");
  for (let first = 0; first <= stream.length; first++) {
    for (let second = first; second <= stream.length; second++) {
      const wrong = cutAt(first, second);
      if (wrong !== undefined) return void t.fail(`cut at ${first} and ${second}: ${wrong}`);
    }
  }
  t.pass("in three, everywhere");
});

t.test("WebSocketFrames.push() counts the bytes of a data frame as data wherever it is cut", async (t) => {
  const frames = new WebSocketFrames();
  const whole = frame({ opcode: text, length: 300, masked: true });
  t.equal(frames.push(whole.subarray(0, 3)), false, "a head that is not whole says nothing yet");
  t.equal(frames.push(whole.subarray(3, 50)), true);
  t.equal(frames.push(whole.subarray(50, 51)), true);
  t.equal(frames.push(Buffer.concat([whole.subarray(51), frame({ opcode: ping, length: 2 })])), true);
  t.equal(frames.push(frame({ opcode: ping, length: 2 })), false);
});

t.test("WebSocketFrames.closed says whether a close frame went by", async (t) => {
  const frames = new WebSocketFrames();
  frames.push(frame({ opcode: text, length: 20 }));
  t.equal(frames.closed, false);
  frames.push(closeFrame(1001));
  t.equal(frames.closed, true);
  t.equal(frames.atBoundary, true);
});

t.test("closeFrame() is a server's close frame with its status", async (t) => {
  t.strictSame([...closeFrame(1001)], [0x88, 0x02, 0x03, 0xe9]);
});
