// SYSLINK messages out of frames on the wire, by the kernel's own tables (declarations.ts): Ethernet, IPv4 (RFC 791), UDP (RFC 768),
// a link's datagram (kernel/syslink/link.ts), the messages in it (message.ts, commands.ts), and votes (view.ts). Only
// whole messages are told; one that is longer than a datagram is told when its last piece is sent.

import type { Declarations } from "./declarations.js";

export interface Message {
  /** READ_PAGE, or READ_PAGE answer; VOTE PREPARE; ARP; link for a datagram without messages. */
  readonly name: string;
  readonly bytes: number;
  /** 0: none. */
  readonly linkid: bigint;
  /** -1: none. */
  readonly page: number;
  readonly again: boolean;
  readonly withPage: boolean;
  readonly withDifference: boolean;
}

const ETHERNET_BYTES = 14;
const IPV4 = 0x0800;
const ARP = 0x0806;
const UDP = 17;
const UDP_BYTES = 8;
const ITEM_BYTES = 8;

const LINK = "kernel/syslink/link";

export class Syslink {
  readonly #commands: ReadonlyMap<number, string>;
  readonly #votes: ReadonlyMap<number, string>;
  readonly #item: {
    page: number;
    data: number;
    run: number;
    runPages: number;
    difference: number;
    number: number;
  };
  readonly #response: number;
  readonly #messageBytes: number;
  readonly #port: number;
  readonly #voteType: number;
  readonly #magic: number;
  readonly #linkBytes: number;
  readonly #flag: { sequenced: number; hello: number; fragment: number; last: number; refused: number };
  /** By pair of machines: the newest sequence, and the pieces of a long message. */
  readonly #newest = new Map<string, number>();
  readonly #pieces = new Map<string, Uint8Array[]>();

  constructor(d: Declarations) {
    const commands = "kernel/syslink/commands";
    const message = "kernel/syslink/message";
    const view = "kernel/syslink/view";
    this.#commands = d.names(commands, "COMMAND_");
    this.#votes = d.names(view, "VOTE_");
    this.#item = {
      page: d.number(commands, "ITEM_PAGE"),
      data: d.number(commands, "ITEM_DATA"),
      run: d.number(commands, "ITEM_RUN"),
      runPages: d.number(commands, "ITEM_RUN_PAGES"),
      difference: d.number(commands, "ITEM_DIFFERENCE"),
      number: d.number(message, "ITEM_NUMBER"),
    };
    this.#response = d.number(message, "RESPONSE");
    this.#messageBytes = d.number(message, "HEADER_BYTES");
    this.#port = d.number("kernel/syslink/peers", "PORT");
    this.#voteType = d.number(view, "VOTE_TYPE");
    this.#magic = d.number(LINK, "MAGIC");
    this.#linkBytes = d.number(LINK, "LINK_HEADER_BYTES");
    this.#flag = {
      sequenced: d.number(LINK, "SEQUENCED"),
      hello: d.number(LINK, "HELLO"),
      fragment: d.number(LINK, "FRAGMENT"),
      last: d.number(LINK, "FRAGMENT_LAST"),
      refused: d.number(LINK, "REFUSED"),
    };
  }

  /** The messages in a frame; what is none of ours is one message with its kind of frame for a name. */
  decode(frame: Uint8Array): Message[] {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    const type = view.getUint16(12);
    const plain = (name: string): Message[] => [{ ...nothing, name, bytes: frame.length }];
    if (type === this.#voteType)
      return plain(`VOTE ${this.#votes.get(view.getUint8(ETHERNET_BYTES + 4)) ?? "?"}`);
    if (type === ARP) return plain("ARP");
    if (type !== IPV4) return plain(`frame ${type.toString(16)}`);
    const udp = ETHERNET_BYTES + (view.getUint8(ETHERNET_BYTES) & 15) * 4;
    if (view.getUint8(ETHERNET_BYTES + 9) !== UDP || view.getUint16(udp + 2) !== this.#port)
      return plain("IP");
    const at = udp + UDP_BYTES;
    const end = udp + view.getUint16(udp + 4);
    if (end > frame.length || end - at < this.#linkBytes || view.getUint32(at, true) !== this.#magic)
      return plain("UDP");
    return this.#datagram(frame.subarray(at, end));
  }

  /** magic[4] check[4] fromEpoch[8] toEpoch[8] sequence[4] acknowledgement[4] selective[4] flags[2] from[1] to[1] */
  #datagram(bytes: Uint8Array): Message[] {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const sequence = view.getUint32(24, true);
    const flags = view.getUint16(36, true);
    // Two machines may have the same epoch.
    const pair = `${view.getUint16(38)} ${view.getBigUint64(8, true)} ${view.getBigUint64(16, true)}`;
    const one = (name: string): Message[] => [{ ...nothing, name, bytes: bytes.length }];
    if (flags & this.#flag.hello) return one("HELLO");
    if (flags & this.#flag.refused) return one("REFUSED");
    if (!(flags & this.#flag.sequenced)) return one("acknowledgement");
    const newest = this.#newest.get(pair);
    const again = newest !== undefined && ((sequence - newest) | 0) <= 0;
    if (!again) this.#newest.set(pair, sequence);
    const payload = bytes.subarray(this.#linkBytes);
    if (payload.length === 0) return one("empty");
    if (!(flags & this.#flag.fragment)) return this.#messages(payload, again);
    if (again) return one("piece again");
    const pieces = [...(this.#pieces.get(pair) ?? []), payload];
    const last = (flags & this.#flag.last) !== 0;
    this.#pieces.set(pair, last ? [] : pieces);
    return last ? this.#messages(Buffer.concat(pieces), false) : one("piece");
  }

  /** linkid[8] msgid[4] command[2] length[2] items..., each at a multiple of 8 */
  #messages(bytes: Uint8Array, again: boolean): Message[] {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const messages: Message[] = [];
    for (let at = 0; at + this.#messageBytes <= bytes.length; ) {
      const length = view.getUint16(at + 14, true);
      if (length < this.#messageBytes || at + length > bytes.length) break;
      messages.push(this.#message(view, at, length, again));
      at += (length + 7) & ~7;
    }
    return messages;
  }

  #message(view: DataView, at: number, length: number, again: boolean): Message {
    const command = view.getUint16(at + 12, true);
    const name = this.#commands.get(command & ~this.#response) ?? `command ${command & ~this.#response}`;
    let page = -1;
    let withPage = false;
    let withDifference = false;
    // itemid[2] itemlen[2] aux[4] data
    for (let item = at + this.#messageBytes; item + ITEM_BYTES <= at + length; ) {
      const id = view.getUint16(item, true) & this.#item.number;
      const bytes = view.getUint16(item + 2, true);
      if (bytes < ITEM_BYTES || item + bytes > at + length) break;
      // Of a run the first.
      if ((id === this.#item.page || id === this.#item.run) && bytes >= ITEM_BYTES + 8)
        page = Number(view.getBigUint64(item + ITEM_BYTES, true));
      if (id === this.#item.data || id === this.#item.runPages) withPage = true;
      if (id === this.#item.difference) withDifference = true;
      item += (bytes + 7) & ~7;
    }
    return {
      name: command & this.#response ? `${name} answer` : name,
      bytes: length,
      linkid: view.getBigUint64(at, true),
      page,
      again,
      withPage,
      withDifference,
    };
  }
}

const nothing: Message = {
  name: "",
  bytes: 0,
  linkid: 0n,
  page: -1,
  again: false,
  withPage: false,
  withDifference: false,
};
