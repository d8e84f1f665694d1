import { Readable } from "node:stream";
import t from "tap";
import { type ContainerLogLine, readContainerLog, toSince } from "./container-log.ts";

function frame(stream: number, text: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

const log = Buffer.concat([
  frame(1, "2026-01-02T03:04:05.678901234Z grün\r\n"),
  frame(2, "2026-01-02T03:04:06Z \n"),
  frame(1, "2026-01-02T03:04:06.5Z a  b"),
]);

t.test("readContainerLog() gives the same lines wherever the stream is cut", async (t) => {
  const expected = [
    { stream: "stdout", time: 1767323045678, line: "grün", nanoseconds: 1767323045678901234n },
    { stream: "stderr", time: 1767323046000, line: "", nanoseconds: 1767323046000000000n },
    { stream: "stdout", time: 1767323046500, line: "a  b", nanoseconds: 1767323046500000000n },
  ];
  for (const size of [1, 7, 50, log.length]) {
    const chunks = Array.from({ length: Math.ceil(log.length / size) }, (_, index) =>
      log.subarray(index * size, (index + 1) * size),
    );
    const lines: ContainerLogLine[] = [];
    for await (const line of readContainerLog(Readable.from(chunks))) lines.push(line);
    t.same(lines, expected);
  }
});

t.test("toSince() keeps the nanoseconds", async (t) => {
  t.equal(toSince(1767323045000000012n), "1767323045.000000012");
});
