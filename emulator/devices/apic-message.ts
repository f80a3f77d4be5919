// Interrupt messages, which local APICs, I/O APICs and message-signalled interrupts share: Intel SDM vol. 3A,
// "Issuing Interprocessor Interrupts"; AMD APM vol. 2, 16.5.
// Invariant: a destination is 32 bits wide; the 8-bit formats' broadcast address 0xFF has become BROADCAST.

import { hex } from "./device.js";

/** Delivery modes of ICR, LVT, redirection table and MSI data. */
export const delivery = {
  fixed: 0,
  lowestPriority: 1,
  smi: 2,
  nmi: 4,
  init: 5,
  startup: 6,
  external: 7,
} as const;

export interface InterruptMessage {
  /** APIC ID (physical) or message destination address (logical); BROADCAST is everybody. */
  destination: number;
  logical: boolean;
  /** One of `delivery`. */
  mode: number;
  vector: number;
  /** Level-triggered. */
  level: boolean;
  /** Core number that the message leaves out: the shorthand "all excluding self". */
  except?: number;
}

export interface InterruptBus {
  deliver(message: InterruptMessage): void;
}

export const BROADCAST = 0xffff_ffff;

/** A destination field of 8 bits, as xAPIC, I/O APIC and MSI have it. */
export const destination8 = (field: number): number => (field === 0xff ? BROADCAST : field);

/** Error status register bits. */
export const esr = { sendIllegalVector: 0x20, receiveIllegalVector: 0x40, illegalRegister: 0x80 } as const;

/** Delivery mode of an LVT entry, a redirection entry or the ICR. */
export const modeOf = (entry: number): number => (entry >> 8) & 7;

export const describeMessage = (m: InterruptMessage): string =>
  `mode ${m.mode} vector ${hex(m.vector)} to ${m.logical ? "logical" : "physical"} ${hex(m.destination)}`;

/** Interrupt command register. */
const icr = { logical: 0x800, assert: 0x4000, level: 0x8000 } as const;
const shorthand = { none: 0, self: 1, allIncludingSelf: 2 } as const;

/** What the ICR asks for: a message, an illegal vector, nothing at all, or what no APIC of this kind does. */
export type Command =
  | { readonly kind: "message"; readonly message: InterruptMessage }
  | { readonly kind: "self"; readonly vector: number; readonly mode: number }
  | { readonly kind: "illegal-vector" }
  | { readonly kind: "nothing" }
  | { readonly kind: "invalid"; readonly why: string };

/** SDM, table "Valid Combinations for the Pentium 4 ... Local xAPIC Interrupt Command Register". */
export function commandOf(low: number, destination: number, core: number): Command {
  const mode = modeOf(low);
  const vector = low & 0xff;
  // "INIT Level De-assert ... not supported in the Pentium 4 and Intel Xeon processors."
  if (mode === delivery.init && (low & icr.assert) === 0 && (low & icr.level) !== 0)
    return { kind: "nothing" };
  if (mode === delivery.smi || mode === 3 || mode === delivery.external)
    return { kind: "invalid", why: `delivery mode ${mode} is not implemented` };
  if ((mode === delivery.fixed || mode === delivery.lowestPriority) && vector < 16)
    return { kind: "illegal-vector" };
  const message = { destination: BROADCAST, logical: false, mode, vector, level: false };
  switch ((low >>> 18) & 3) {
    case shorthand.none:
      return { kind: "message", message: { ...message, destination, logical: (low & icr.logical) !== 0 } };
    case shorthand.self:
      // Only "fixed" is a valid combination; what the manuals leave open for NMI and INIT is done as it is asked for.
      if (mode === delivery.fixed || mode === delivery.nmi || mode === delivery.init)
        return { kind: "self", vector, mode };
      return { kind: "invalid", why: `shorthand self with delivery mode ${mode} dropped` };
    case shorthand.allIncludingSelf:
      if (mode === delivery.fixed) return { kind: "message", message };
      return { kind: "invalid", why: `shorthand all including self with delivery mode ${mode} dropped` };
    default:
      return { kind: "message", message: { ...message, except: core } };
  }
}
