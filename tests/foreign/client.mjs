// A client of docs/protocol.md on npm's `ws`, with nothing of ours: hello, message, a cut, resume, interrupt.
// node client.mjs URL USER [TOKEN]   prints one JSON object of what it saw; any surprise is an exception.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import WebSocket from "ws";

const [url, user, token] = process.argv.slice(2);
const device = randomUUID();

class Room {
  constructor(resume) {
    this.frames = [];
    this.news = () => {};
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    this.socket = new WebSocket(url, "tui-agent.v1", { headers, perMessageDeflate: false });
    this.socket.on("open", () => this.send({ type: "hello", client: "foreign/1", device, user, resume }));
    this.socket.on("message", (data, isBinary) => {
      assert(!isBinary);
      this.frames.push(JSON.parse(data));
      this.news();
    });
    this.closed = new Promise((resolve) => this.socket.on("close", (code) => resolve(code)));
  }

  send(frame) {
    this.socket.send(JSON.stringify(frame));
  }

  async wait(matches) {
    let seen = 0;
    for (;;) {
      for (; seen < this.frames.length; seen++) if (matches(this.frames[seen])) return this.frames[seen];
      await new Promise((resolve) => (this.news = resolve));
    }
  }

  command(frame) {
    const cid = randomUUID();
    this.send({ ...frame, cid });
    return this.wait((event) => event.ref === cid);
  }
}

// Puts the tokens of a run together, and is strict about their offsets (in code points).
function gather(room, run, text) {
  for (const event of room.frames) {
    if (event.type !== "token" || event.run !== run) continue;
    assert.equal(event.offset, [...text].length, "a gap or a doubled token");
    text += event.content;
  }
  return text;
}

const first = new Room();
const welcome = await first.wait((event) => event.type === "welcome");
assert.equal(welcome.recovered, false);
const snapshot = await first.wait((event) => event.type === "snapshot");
const ack = await first.command({ type: "message", content: "Tell me something long, please. 🌍" });
assert.equal(ack.type, "ack");
await first.wait((event) => event.type === "token" && event.offset > 20);
first.socket.terminate();
await first.closed;
const shown = gather(first, ack.run, "");

const ids = first.frames.filter((event) => "id" in event && "time" in event).map((event) => event.id);
const after = Math.max(snapshot.head, ...ids);
const second = new Room({ epoch: welcome.epoch, after, run: ack.run, offset: [...shown].length });
const again = await second.wait((event) => event.type === "welcome");
assert.equal(again.recovered, true);
assert.equal(again.open_run.run, ack.run);
const before = [...shown].length;
await second.wait((event) => event.type === "token" && event.offset > before);
const stopped = await second.command({ type: "interrupt", run: ack.run });
const interrupted = await second.wait((event) => event.type === "interrupted" && event.run === ack.run);
const text = gather(second, ack.run, shown);
assert(interrupted.content.startsWith(text));
const unknown = await second.command({ type: "dance" });
second.socket.close(1000);
await second.closed;

console.log(
  JSON.stringify({
    server: welcome.server,
    user: welcome.user,
    joined: again.members.map((member) => member.user),
    ids: [...ids, interrupted.id],
    by: interrupted.by,
    reason: interrupted.reason,
    shown: text.length,
    stopped: stopped.type,
    unknown: unknown.code,
  }),
);
