// The coherence promises by number, as the design numbered them, with what an outsider can check in the running system. Tests that show one
// carry its number in their title; test/promises.test.ts compares.

export interface Numbered {
  readonly says: string;
  /** What is lacking; the kernel has nothing that it could be shown of. */
  readonly notYet?: string;
}

// biome-ignore format: a table reads by rows
export const promises: Readonly<Record<string, Numbered>> = {
  57: { says: "memory that is coherent between machines: litmus tests, linearizable histories" },
  58: { says: "in layers above the file system, whichever it is" },
  59: { says: "name cache, files by read and write, and mapped files" },
  60: { says: "a mapped file is as coherent between machines as between processes of one" },
  61: { says: "LOCKed instructions on mapped files are atomic between machines, also across pages" },
  62: { says: "readers of a page say nothing after the first fetch" },
  63: { says: "an unmodified program need not know" },
  64: { says: "without S it is far less efficient" },
  65: { says: "E to M and M to E send no message" },
  66: { says: "modified data that is flushed leaves its holder with E or with S" },
  67: { says: "who holds E or M decides, else the backing store" },
  68: { says: "who knows no holder asks the backing store, which passes it on" },
  69: { says: "coherent by pages, locked by ranges" },
  70: { says: "messages carry references; data goes by the page protocol" },
  71: { says: "from the owner to the requester directly" },
  72: { says: "one grant on a directory covers what is below it" },
  73: { says: "a file is granted whole, and split only on conflict" },
  74: { says: "who is alone pays a few per cent at most" },
  75: { says: "threads of one process on several machines share its memory, and move while they run" },
  76: { says: "no lease operations among those on files" },
  77: { says: "a range of a file can be reserved" },
  78: { says: "read and write are atomic, at any size" },
  79: { says: "disjoint ranges are read and written at the same time" },
  80: { says: "records are few after a scan" },
  81: { says: "records in a fixed amount of memory, down to one" },
  82: { says: "several ranges at once, without deadlock" },
  83: { says: "one (S) record for P1-P4, one (E) record for P8-P9" },
  84: { says: "a record that is thrown away costs messages, never correctness" },
  85: { says: "a page that nobody wrote comes back by its serial number, without its bytes" },
  86: { says: "parts of a page for those who write different parts" },
  108: { says: "a process moves piece by piece: its threads run on one machine while its pages are on another" },
  114: { says: "timeouts, transactions, voting: R0 to R9" },
  115: { says: "machines join and leave" },
  R0: { says: "never two writers, never an old value" },
  R1: { says: "clean data is not lost while one copy lives" },
  R2: { says: "dirty data of a dead machine: the loss is reported once" },
  R3: { says: "mirrored, a death takes only what nobody saw" },
  R4: { says: "a majority goes on, a minority waits" },
  R5: { says: "every operation ends" },
  R6: { says: "several ranges: all or nothing" },
  R7: { says: "who returns revalidates by serial numbers" },
  R8: { says: "the home's role moves" },
  R9: { says: "the bridge's restart is a link's loss, no more" },
};
