// The local APIC's side of the board's contract.

/** The words that a core shares with everybody: see board/mailbox.ts. */
export interface Mailbox {
  post(vector: number, level: boolean): void;
  /** Highest vector in the IRR, or -1. */
  highest(): number;
  take(vector: number): void;
  requests(index: number): number;
  triggers(index: number): number;
  clearRequests(): void;
  publish(apicId: number, ldr: number, dfr: number, tpr: number, hardware: boolean, software: boolean): void;
  pin(pin: 0 | 1): boolean;
  pinEdges(pin: 0 | 1): number;
  external(): boolean;
  takeExternal(): void;
  takeErrors(): number;
  postNmi(): void;
  /** Makes the core ask `pendingVector` again. */
  again(): void;
}

/** SDM 3A, "Interrupt Command Register": the delivery modes, which I/O APIC and MSI share. */
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
  /** APIC id (physical) or message destination address (logical), 8 bits; 0xff is everybody. */
  destination: number;
  logical: boolean;
  /** One of `delivery`. */
  mode: number;
  vector: number;
  /** Level-triggered. */
  level: boolean;
}

export interface InterruptBus {
  deliver(message: InterruptMessage): void;
}
