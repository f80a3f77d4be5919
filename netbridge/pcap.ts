// Captured frames in the classic libpcap file format (magic A1B2C3D4, microseconds, LINKTYPE_ETHERNET = 1), as
// Wireshark and tcpdump read it. A capture that cannot be written ends with one report; the bridge goes on.

import { closeSync, openSync, writeSync } from "node:fs";
import { FRAME_BYTES_MAX } from "./frame.js";

const LINKTYPE_ETHERNET = 1;

export function fileHeader(): Uint8Array {
  const view = new DataView(new ArrayBuffer(24));
  view.setUint32(0, 0xa1b2c3d4, true);
  view.setUint16(4, 2, true); // version 2.4
  view.setUint16(6, 4, true);
  view.setUint32(16, FRAME_BYTES_MAX, true); // snapshot length
  view.setUint32(20, LINKTYPE_ETHERNET, true);
  return new Uint8Array(view.buffer);
}

/** One record: 16 bytes of header and the frame. `microseconds` since the epoch of the capture's clock. */
export function record(frame: Uint8Array, microseconds: number): Uint8Array {
  const bytes = new Uint8Array(16 + frame.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Math.floor(microseconds / 1e6) >>> 0, true);
  view.setUint32(4, Math.floor(microseconds % 1e6), true);
  view.setUint32(8, frame.length, true);
  view.setUint32(12, frame.length, true);
  bytes.set(frame, 16);
  return bytes;
}

export class Capture {
  #file: number | null;
  readonly #path: string;
  readonly #report: (problem: string) => void;

  /** Throws when the file cannot be made; later failures (a full disk) are reported once and end the capture. */
  constructor(path: string, report: (problem: string) => void) {
    this.#path = path;
    this.#report = report;
    try {
      this.#file = openSync(path, "w");
    } catch (error) {
      throw new Error(`capture to ${path}: ${(error as Error).message}`);
    }
    this.#write(fileHeader());
  }

  add(frame: Uint8Array, microseconds: number): void {
    if (this.#file !== null) this.#write(record(frame, microseconds));
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #write(bytes: Uint8Array): void {
    try {
      let done = 0;
      while (done < bytes.length) done += writeSync(this.#file!, bytes, done);
    } catch (error) {
      this.#report(
        `capture to ${this.#path} ended: ${error instanceof Error ? error.message : String(error)}`,
      );
      try {
        this.close();
      } catch {
        this.#file = null; // the report above has said it
      }
    }
  }
}
