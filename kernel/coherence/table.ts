// The page protocol, as one table: what a machine does when something happens to a page. MESI with a home directory,
// and O, the dirty master copy that other readers may share (the decision on M to S).
//
// Two machines of states live in a page's record: its cache state on every machine, and its directory state at its home.
// A row is: state, event, next state, up to four actions in order. engine.ts runs the rows, the simulator in test/kernel runs
// the engine, ARCHITECTURE.md is printed from the rows. A pair with no row stops the machine; test/support/illegal-pairs.ts
// lists them with why they cannot happen, and a test asks that every pair is in exactly one of the two.
//
// The home never waits: it orders the requests for a page by answering or forwarding each at once, and names the newest
// writer its owner. A forward that reaches a machine before that machine's own page does is kept there (`later`), so
// the waiting writers form a queue through which the page goes from hand to hand, one hop each. Everyone in the queue waits
// only for requests that the home ordered before his own, so the waiting ends.

// --- Cache states ---
export const INVALID: u8 = 0;
/** Asked to read, to write. */
export const INVALID_READ: u8 = 1;
export const INVALID_WRITE: u8 = 2;
/** The page and the right are here, but some sharer has not said yet that its copy is gone. */
export const COLLECTING: u8 = 3;
export const SHARED: u8 = 4;
export const SHARED_WRITE: u8 = 5;
/** Being taken from the page tables of this machine: pins and the shoot-down are awaited. */
export const SHARED_LEAVING: u8 = 6;
export const SHARED_WRITE_LEAVING: u8 = 7;
/** Read-only, shared, and this machine answers for it: the backing store may be stale. */
export const OWNED: u8 = 8;
export const OWNED_WRITE: u8 = 9;
export const OWNED_LEAVING: u8 = 10;
export const OWNED_WRITE_LEAVING: u8 = 11;
export const EXCLUSIVE: u8 = 12;
export const MODIFIED: u8 = 13;
/** E or M, becoming O; becoming I. */
export const LOWERING: u8 = 14;
export const LEAVING: u8 = 15;
/** The machine that was to answer died: nothing came, or only the copy is here. The home is being told. */
export const FAILED: u8 = 16;
export const FAILED_SHARED: u8 = 17;
/** The same while it is being taken from the page tables. */
export const FAILED_LEAVING: u8 = 18;
/** The home died: being taken from the page tables. */
export const ORPHANED: u8 = 19;
/** An operation was sent to whoever has the page. */
export const INVALID_OPERATE: u8 = 20;
/**
 * E or M that a writer guessed to be here (early.ts): being taken from the page tables; sent to him before the home's word, so that this
 * machine may neither read nor write, though it answers for the page until that comes; and wanted back here.
 */
export const OFFERING: u8 = 21;
export const OFFERED: u8 = 22;
export const OFFERED_WRITE: u8 = 23;

// --- Directory states, at the home ---
export const UNUSED: u8 = 24;
/** The backing store is right; some machines hold copies. */
export const CLEAN_SHARED: u8 = 25;
/** One machine answers for the page. */
export const HELD: u8 = 26;
/** The machine that held it died: all others are asked for what they have, and to let go of it. Requests wait. */
export const RECOVERING: u8 = 27;
/** None of them had it; nobody has been told yet. */
export const LOST: u8 = 28;
export const STATES: u32 = 29;

// --- Events of a cache ---
/** A thread of this machine needs the page. */
export const READ: u8 = 0;
export const WRITE: u8 = 1;
/** The answer to its request. COLLECT: a right to write, with acknowledgements outstanding. */
export const GOT_SHARED: u8 = 2;
export const GOT_EXCLUSIVE: u8 = 3;
export const GOT_COLLECT: u8 = 4;
export const GOT_MODIFIED: u8 = 5;
export const ACKNOWLEDGED: u8 = 6;
export const LAST_ACKNOWLEDGED: u8 = 7;
/** From the home. */
export const INVALIDATE: u8 = 8;
export const FORWARD_READ: u8 = 9;
export const FORWARD_WRITE: u8 = 10;
/** This machine's page tables and every core's TLB have let go. */
export const GONE_CLEAN: u8 = 11;
export const GONE_DIRTY: u8 = 12;
export const FAILURE: u8 = 13;
export const HOME_DIED: u8 = 14;
/** The home recovers the page: it wants whatever is here. Comes to the table when nothing that was ordered before is open. */
export const PURGE: u8 = 15;
export const FAILURE_KNOWN: u8 = 16;
/** A thread of this machine has an operation that another machine may do for it. */
export const OPERATE: u8 = 17;
/** It was done; nobody can do it, the page has to come; the machine that was believed to own the page does not. */
export const OPERATED: u8 = 18;
export const REJECTED: u8 = 19;
export const MISSED: u8 = 20;
/** Another machine has an operation for the page that this one owns, or is believed to own. */
export const EXECUTE: u8 = 21;

// --- Events of a directory ---
export const GET_READ: u8 = 22;
/** By a machine that holds nothing, a copy, the page. */
export const GET_WRITE: u8 = 23;
export const GET_WRITE_SHARER: u8 = 24;
export const GET_WRITE_OWNER: u8 = 25;
/** The owner says that the backing store is right again; one that is no owner any more says so. */
export const CLEAN: u8 = 26;
export const CLEAN_LATE: u8 = 27;
/** The home's own cache has received a copy, and the backing store with it. */
export const COPIED: u8 = 28;
/** A machine reports that the page did not reach it: the owner, or another. */
export const OWNER_FAILED: u8 = 29;
export const OTHER_FAILED: u8 = 30;
export const OWNER_DIED: u8 = 31;
/** A sharer died; the last one of a clean page. */
export const SHARER_DIED: u8 = 32;
export const SHARERS_DIED: u8 = 33;
/** Recovering: one has answered; the last one, and some copy was found or the loss is known; the last one, and none was. */
export const SURRENDERED: u8 = 34;
export const RECOVERED: u8 = 35;
export const UNRECOVERED: u8 = 36;
/** A machine has an operation for the owner. */
export const GET_OPERATE: u8 = 37;
/** The owner reads: it was granted the page with a range, and asked before it knew. */
export const GET_READ_OWNER: u8 = 38;

/**
 * To a cache: a forward that the home ordered before any open request of this machine's, which has nothing of the page. It
 * was granted the page with a range, and has never touched it.
 */
export const UNTOUCHED_READ: u8 = 39;
export const UNTOUCHED_WRITE: u8 = 40;
/** The same of an invalidation: the home counts this machine among the sharers, which has nothing, or not any more. */
export const INVALIDATE_NOTHING: u8 = 41;
/** A request that guesses the owner (early.ts): its bytes came before the home's word; a reader, a writer believes that this machine is it. */
export const EARLY: u8 = 42;
export const GUESSED: u8 = 43;
export const GUESSED_WRITE: u8 = 44;
/** The writer that was sent the page before the home's word has it now. */
export const TAKEN: u8 = 45;
/** It was sent to him for a request that was over by then: he has not taken it, and never will. */
export const UNTAKEN: u8 = 46;
export const EVENTS: u32 = 47;

// --- Actions ---
export const NONE: u8 = 0;
/** Open a transaction with the home. */
export const ASK_READ: u8 = 1;
export const ASK_WRITE: u8 = 2;
/** Put the data that came into this machine's frame. */
export const TAKE: u8 = 3;
/** Let this machine's waiting threads have the page with the right of the next state. */
export const GRANT: u8 = 4;
/** Take the right to write, or the page, from every address space; GONE_* follows. */
export const REVOKE_WRITE: u8 = 5;
export const REVOKE: u8 = 6;
/** Send the page to the readers that were forwarded here. */
export const GIVE_READERS: u8 = 7;
/** Answer what made this machine let go: the page to the writer, an acknowledgement to him, what was here to the home. */
export const ANSWER: u8 = 8;
export const TELL_CLEAN: u8 = 9;
/** The threads that waited for this page ask again if they still lack something. */
export const WAKE: u8 = 10;
/** End the transaction: the waiting threads get an error, everybody whom the home ordered behind it gets FAILURE. */
export const LOSE: u8 = 11;
export const TELL_LOSS: u8 = 12;
/** FAILURE for what was just forwarded here. */
export const REFUSE: u8 = 13;
/** Tell the home that nothing is here. */
export const SURRENDER: u8 = 14;
export const GRANT_SHARED: u8 = 16;
export const GRANT_EXCLUSIVE: u8 = 17;
export const GRANT_MODIFIED: u8 = 18;
export const PASS_READ: u8 = 19;
export const PASS_WRITE: u8 = 20;
/** To every sharer but the requester, all at once; each answers the requester. */
export const INVALIDATE_SHARERS: u8 = 21;
export const RELEASE_OWNER: u8 = 22;
export const DROP_SENDER: u8 = 23;
export const FAIL_ONCE: u8 = 24;
export const CONFIRM_LOSS: u8 = 25;
export const PURGE_ALL: u8 = 26;
/** Recovering: keep a request, put what a machine had into the backing store, go on with what was kept. */
export const KEEP: u8 = 27;
export const TAKE_BACK: u8 = 28;
export const RESUME: u8 = 29;
/** Send this machine's operation to the owner, by way of the home unless the owner is guessed. */
export const ASK_OPERATE: u8 = 30;
/** End it: done, to be done by this machine itself, failed. */
export const COMPLETE: u8 = 31;
export const DECLINE: u8 = 32;
export const FAIL_OPERATION: u8 = 33;
/** Do, or refuse, the operations that came here. */
export const PERFORM: u8 = 34;
export const REJECT: u8 = 35;
export const PASS_OPERATE: u8 = 36;
export const REJECT_SENDER: u8 = 37;
/** Answer for a page that nobody has touched: its bytes are zeros. */
export const GIVE_ZEROS: u8 = 38;
export const ACKNOWLEDGE: u8 = 39;
export const ACTIONS: u32 = 40;

/** The last byte of a row counts whether it was ever used. */
export const ROW_BYTES: u32 = 8;
export const END: u8 = 255;
// biome-ignore format: a table reads by columns
export const ROWS: usize = memory.data<u8>([
  // --- Cache ---
  INVALID,              READ,              INVALID_READ,         ASK_READ,           NONE,           NONE, NONE, 0,
  INVALID,              WRITE,             INVALID_WRITE,        ASK_WRITE,          NONE,           NONE, NONE, 0,
  INVALID,              HOME_DIED,         INVALID,              NONE,               NONE,           NONE, NONE, 0,
  INVALID,              PURGE,             INVALID,              SURRENDER,          NONE,           NONE, NONE, 0,
  INVALID,              OPERATE,           INVALID_OPERATE,      ASK_OPERATE,        NONE,           NONE, NONE, 0,
  INVALID,              EXECUTE,           INVALID,              REJECT,             NONE,           NONE, NONE, 0,
  INVALID,              UNTOUCHED_READ,    INVALID,              GIVE_ZEROS,         NONE,           NONE, NONE, 0,
  INVALID,              UNTOUCHED_WRITE,   INVALID,              GIVE_ZEROS,         NONE,           NONE, NONE, 0,
  INVALID,              INVALIDATE_NOTHING, INVALID,             ACKNOWLEDGE,        NONE,           NONE, NONE, 0,

  INVALID_READ,         READ,              INVALID_READ,         NONE,               NONE,           NONE, NONE, 0,
  INVALID_READ,         WRITE,             INVALID_READ,         NONE,               NONE,           NONE, NONE, 0,
  INVALID_READ,         GOT_SHARED,        SHARED,               TAKE,               GRANT,          NONE, NONE, 0,
  INVALID_READ,         GOT_EXCLUSIVE,     EXCLUSIVE,            TAKE,               GRANT,          NONE, NONE, 0,
  INVALID_READ,         EARLY,             INVALID_READ,         TAKE,               NONE,           NONE, NONE, 0,
  INVALID_READ,         INVALIDATE,        INVALID_READ,         NONE,               NONE,           NONE, NONE, 0,
  INVALID_READ,         FAILURE,           FAILED,               LOSE,               TELL_LOSS,      NONE, NONE, 0,
  INVALID_READ,         HOME_DIED,         INVALID,              LOSE,               NONE,           NONE, NONE, 0,
  INVALID_READ,         PURGE,             INVALID_READ,         SURRENDER,          NONE,           NONE, NONE, 0,
  INVALID_READ,         EXECUTE,           INVALID_READ,         REJECT,             NONE,           NONE, NONE, 0,
  INVALID_READ,         UNTOUCHED_READ,    INVALID_READ,         GIVE_ZEROS,         NONE,           NONE, NONE, 0,
  INVALID_READ,         UNTOUCHED_WRITE,   INVALID_READ,         GIVE_ZEROS,         NONE,           NONE, NONE, 0,
  INVALID_READ,         INVALIDATE_NOTHING, INVALID_READ,        ACKNOWLEDGE,        NONE,           NONE, NONE, 0,

  INVALID_WRITE,        READ,              INVALID_WRITE,        NONE,               NONE,           NONE, NONE, 0,
  INVALID_WRITE,        WRITE,             INVALID_WRITE,        NONE,               NONE,           NONE, NONE, 0,
  INVALID_WRITE,        GOT_COLLECT,       COLLECTING,           TAKE,               NONE,           NONE, NONE, 0,
  INVALID_WRITE,        GOT_MODIFIED,      MODIFIED,             TAKE,               GRANT,          NONE, NONE, 0,
  INVALID_WRITE,        EARLY,             INVALID_WRITE,        TAKE,               NONE,           NONE, NONE, 0,
  INVALID_WRITE,        ACKNOWLEDGED,      INVALID_WRITE,        NONE,               NONE,           NONE, NONE, 0,
  INVALID_WRITE,        FORWARD_READ,      INVALID_WRITE,        NONE,               NONE,           NONE, NONE, 0,
  INVALID_WRITE,        FORWARD_WRITE,     INVALID_WRITE,        NONE,               NONE,           NONE, NONE, 0,
  INVALID_WRITE,        FAILURE,           FAILED,               LOSE,               TELL_LOSS,      NONE, NONE, 0,
  INVALID_WRITE,        HOME_DIED,         INVALID,              LOSE,               NONE,           NONE, NONE, 0,
  INVALID_WRITE,        PURGE,             INVALID_WRITE,        SURRENDER,          NONE,           NONE, NONE, 0,
  INVALID_WRITE,        EXECUTE,           INVALID_WRITE,        NONE,               NONE,           NONE, NONE, 0,
  INVALID_WRITE,        UNTOUCHED_READ,    INVALID_WRITE,        GIVE_ZEROS,         NONE,           NONE, NONE, 0,
  INVALID_WRITE,        UNTOUCHED_WRITE,   INVALID_WRITE,        GIVE_ZEROS,         NONE,           NONE, NONE, 0,
  INVALID_WRITE,        INVALIDATE_NOTHING, INVALID_WRITE,       ACKNOWLEDGE,        NONE,           NONE, NONE, 0,

  COLLECTING,           READ,              COLLECTING,           NONE,               NONE,           NONE, NONE, 0,
  COLLECTING,           WRITE,             COLLECTING,           NONE,               NONE,           NONE, NONE, 0,
  COLLECTING,           ACKNOWLEDGED,      COLLECTING,           NONE,               NONE,           NONE, NONE, 0,
  COLLECTING,           LAST_ACKNOWLEDGED, MODIFIED,             GRANT,              NONE,           NONE, NONE, 0,
  COLLECTING,           FORWARD_READ,      COLLECTING,           NONE,               NONE,           NONE, NONE, 0,
  COLLECTING,           FORWARD_WRITE,     COLLECTING,           NONE,               NONE,           NONE, NONE, 0,
  COLLECTING,           FAILURE,           COLLECTING,           NONE,               NONE,           NONE, NONE, 0,
  COLLECTING,           HOME_DIED,         ORPHANED,             REVOKE,             NONE,           NONE, NONE, 0,
  COLLECTING,           EXECUTE,           COLLECTING,           NONE,               NONE,           NONE, NONE, 0,

  SHARED,               READ,              SHARED,               GRANT,              NONE,           NONE, NONE, 0,
  SHARED,               WRITE,             SHARED_WRITE,         ASK_WRITE,          NONE,           NONE, NONE, 0,
  SHARED,               INVALIDATE,        SHARED_LEAVING,       REVOKE,             NONE,           NONE, NONE, 0,
  SHARED,               HOME_DIED,         ORPHANED,             REVOKE,             NONE,           NONE, NONE, 0,
  SHARED,               PURGE,             SHARED_LEAVING,       REVOKE,             NONE,           NONE, NONE, 0,
  SHARED,               EXECUTE,           SHARED,               REJECT,             NONE,           NONE, NONE, 0,

  SHARED_WRITE,         READ,              SHARED_WRITE,         GRANT,              NONE,           NONE, NONE, 0,
  SHARED_WRITE,         WRITE,             SHARED_WRITE,         NONE,               NONE,           NONE, NONE, 0,
  SHARED_WRITE,         GOT_COLLECT,       COLLECTING,           NONE,               NONE,           NONE, NONE, 0,
  SHARED_WRITE,         GOT_MODIFIED,      MODIFIED,             GRANT,              NONE,           NONE, NONE, 0,
  SHARED_WRITE,         ACKNOWLEDGED,      SHARED_WRITE,         NONE,               NONE,           NONE, NONE, 0,
  SHARED_WRITE,         INVALIDATE,        SHARED_WRITE_LEAVING, REVOKE,             NONE,           NONE, NONE, 0,
  SHARED_WRITE,         FORWARD_READ,      SHARED_WRITE,         NONE,               NONE,           NONE, NONE, 0,
  SHARED_WRITE,         FORWARD_WRITE,     SHARED_WRITE,         NONE,               NONE,           NONE, NONE, 0,
  SHARED_WRITE,         FAILURE,           FAILED_SHARED,        LOSE,               TELL_LOSS,      NONE, NONE, 0,
  SHARED_WRITE,         HOME_DIED,         ORPHANED,             REVOKE,             NONE,           NONE, NONE, 0,
  SHARED_WRITE,         PURGE,             SHARED_WRITE_LEAVING, REVOKE,             NONE,           NONE, NONE, 0,
  SHARED_WRITE,         EXECUTE,           SHARED_WRITE,         NONE,               NONE,           NONE, NONE, 0,

  SHARED_LEAVING,       READ,              SHARED_LEAVING,       NONE,               NONE,           NONE, NONE, 0,
  SHARED_LEAVING,       WRITE,             SHARED_LEAVING,       NONE,               NONE,           NONE, NONE, 0,
  SHARED_LEAVING,       GONE_CLEAN,        INVALID,              ANSWER,             WAKE,           NONE, NONE, 0,
  SHARED_LEAVING,       HOME_DIED,         ORPHANED,             NONE,               NONE,           NONE, NONE, 0,
  SHARED_LEAVING,       EXECUTE,           SHARED_LEAVING,       REJECT,             NONE,           NONE, NONE, 0,

  SHARED_WRITE_LEAVING, READ,              SHARED_WRITE_LEAVING, NONE,               NONE,           NONE, NONE, 0,
  SHARED_WRITE_LEAVING, WRITE,             SHARED_WRITE_LEAVING, NONE,               NONE,           NONE, NONE, 0,
  SHARED_WRITE_LEAVING, FORWARD_READ,      SHARED_WRITE_LEAVING, NONE,               NONE,           NONE, NONE, 0,
  SHARED_WRITE_LEAVING, FORWARD_WRITE,     SHARED_WRITE_LEAVING, NONE,               NONE,           NONE, NONE, 0,
  SHARED_WRITE_LEAVING, ACKNOWLEDGED,      SHARED_WRITE_LEAVING, NONE,               NONE,           NONE, NONE, 0,
  SHARED_WRITE_LEAVING, GONE_CLEAN,        INVALID_WRITE,        ANSWER,             NONE,           NONE, NONE, 0,
  SHARED_WRITE_LEAVING, FAILURE,           FAILED_LEAVING,       LOSE,               TELL_LOSS,      NONE, NONE, 0,
  SHARED_WRITE_LEAVING, HOME_DIED,         ORPHANED,             NONE,               NONE,           NONE, NONE, 0,
  SHARED_WRITE_LEAVING, EXECUTE,           SHARED_WRITE_LEAVING, NONE,               NONE,           NONE, NONE, 0,

  OWNED,                READ,              OWNED,                GRANT,              NONE,           NONE, NONE, 0,
  OWNED,                WRITE,             OWNED_WRITE,          ASK_WRITE,          NONE,           NONE, NONE, 0,
  OWNED,                FORWARD_READ,      OWNED,                GIVE_READERS,       NONE,           NONE, NONE, 0,
  OWNED,                GUESSED,           OWNED,                GIVE_READERS,       NONE,           NONE, NONE, 0,
  OWNED,                FORWARD_WRITE,     OWNED_LEAVING,        REVOKE,             NONE,           NONE, NONE, 0,
  OWNED,                INVALIDATE,        OWNED_LEAVING,        REVOKE,             NONE,           NONE, NONE, 0,
  OWNED,                HOME_DIED,         ORPHANED,             REVOKE,             NONE,           NONE, NONE, 0,
  OWNED,                PURGE,             OWNED_LEAVING,        REVOKE,             NONE,           NONE, NONE, 0,
  OWNED,                EXECUTE,           OWNED,                REJECT,             NONE,           NONE, NONE, 0,

  OWNED_WRITE,          READ,              OWNED_WRITE,          GRANT,              NONE,           NONE, NONE, 0,
  OWNED_WRITE,          WRITE,             OWNED_WRITE,          NONE,               NONE,           NONE, NONE, 0,
  OWNED_WRITE,          GOT_COLLECT,       COLLECTING,           NONE,               NONE,           NONE, NONE, 0,
  OWNED_WRITE,          GOT_MODIFIED,      MODIFIED,             GRANT,              NONE,           NONE, NONE, 0,
  OWNED_WRITE,          ACKNOWLEDGED,      OWNED_WRITE,          NONE,               NONE,           NONE, NONE, 0,
  OWNED_WRITE,          FORWARD_READ,      OWNED_WRITE,          GIVE_READERS,       NONE,           NONE, NONE, 0,
  OWNED_WRITE,          FORWARD_WRITE,     OWNED_WRITE_LEAVING,  REVOKE,             NONE,           NONE, NONE, 0,
  OWNED_WRITE,          INVALIDATE,        OWNED_WRITE_LEAVING,  REVOKE,             NONE,           NONE, NONE, 0,
  OWNED_WRITE,          FAILURE,           FAILED_SHARED,        LOSE,               TELL_LOSS,      NONE, NONE, 0,
  OWNED_WRITE,          HOME_DIED,         ORPHANED,             REVOKE,             NONE,           NONE, NONE, 0,
  OWNED_WRITE,          PURGE,             OWNED_WRITE_LEAVING,  REVOKE,             NONE,           NONE, NONE, 0,
  OWNED_WRITE,          EXECUTE,           OWNED_WRITE,          NONE,               NONE,           NONE, NONE, 0,

  OWNED_LEAVING,        READ,              OWNED_LEAVING,        NONE,               NONE,           NONE, NONE, 0,
  OWNED_LEAVING,        WRITE,             OWNED_LEAVING,        NONE,               NONE,           NONE, NONE, 0,
  OWNED_LEAVING,        GONE_CLEAN,        INVALID,              ANSWER,             WAKE,           NONE, NONE, 0,
  OWNED_LEAVING,        GONE_DIRTY,        INVALID,              ANSWER,             WAKE,           NONE, NONE, 0,
  OWNED_LEAVING,        HOME_DIED,         ORPHANED,             NONE,               NONE,           NONE, NONE, 0,
  OWNED_LEAVING,        EXECUTE,           OWNED_LEAVING,        REJECT,             NONE,           NONE, NONE, 0,

  OWNED_WRITE_LEAVING,  READ,              OWNED_WRITE_LEAVING,  NONE,               NONE,           NONE, NONE, 0,
  OWNED_WRITE_LEAVING,  WRITE,             OWNED_WRITE_LEAVING,  NONE,               NONE,           NONE, NONE, 0,
  OWNED_WRITE_LEAVING,  FORWARD_READ,      OWNED_WRITE_LEAVING,  NONE,               NONE,           NONE, NONE, 0,
  OWNED_WRITE_LEAVING,  FORWARD_WRITE,     OWNED_WRITE_LEAVING,  NONE,               NONE,           NONE, NONE, 0,
  OWNED_WRITE_LEAVING,  ACKNOWLEDGED,      OWNED_WRITE_LEAVING,  NONE,               NONE,           NONE, NONE, 0,
  OWNED_WRITE_LEAVING,  GONE_CLEAN,        INVALID_WRITE,        ANSWER,             NONE,           NONE, NONE, 0,
  OWNED_WRITE_LEAVING,  GONE_DIRTY,        INVALID_WRITE,        ANSWER,             NONE,           NONE, NONE, 0,
  OWNED_WRITE_LEAVING,  FAILURE,           FAILED_LEAVING,       LOSE,               TELL_LOSS,      NONE, NONE, 0,
  OWNED_WRITE_LEAVING,  HOME_DIED,         ORPHANED,             NONE,               NONE,           NONE, NONE, 0,
  OWNED_WRITE_LEAVING,  EXECUTE,           OWNED_WRITE_LEAVING,  NONE,               NONE,           NONE, NONE, 0,

  EXCLUSIVE,            READ,              EXCLUSIVE,            GRANT,              NONE,           NONE, NONE, 0,
  EXCLUSIVE,            WRITE,             MODIFIED,             GRANT,              NONE,           NONE, NONE, 0,
  EXCLUSIVE,            FORWARD_READ,      LOWERING,             REVOKE_WRITE,       NONE,           NONE, NONE, 0,
  EXCLUSIVE,            GUESSED,           LOWERING,             REVOKE_WRITE,       NONE,           NONE, NONE, 0,
  EXCLUSIVE,            GUESSED_WRITE,     OFFERING,             REVOKE,             NONE,           NONE, NONE, 0,
  EXCLUSIVE,            FORWARD_WRITE,     LEAVING,              REVOKE,             NONE,           NONE, NONE, 0,
  EXCLUSIVE,            HOME_DIED,         ORPHANED,             REVOKE,             NONE,           NONE, NONE, 0,
  EXCLUSIVE,            PURGE,             LEAVING,              REVOKE,             NONE,           NONE, NONE, 0,
  EXCLUSIVE,            EXECUTE,           MODIFIED,             PERFORM,            NONE,           NONE, NONE, 0,

  MODIFIED,             READ,              MODIFIED,             GRANT,              NONE,           NONE, NONE, 0,
  MODIFIED,             WRITE,             MODIFIED,             GRANT,              NONE,           NONE, NONE, 0,
  MODIFIED,             FORWARD_READ,      LOWERING,             REVOKE_WRITE,       NONE,           NONE, NONE, 0,
  MODIFIED,             GUESSED,           LOWERING,             REVOKE_WRITE,       NONE,           NONE, NONE, 0,
  MODIFIED,             GUESSED_WRITE,     OFFERING,             REVOKE,             NONE,           NONE, NONE, 0,
  MODIFIED,             FORWARD_WRITE,     LEAVING,              REVOKE,             NONE,           NONE, NONE, 0,
  MODIFIED,             HOME_DIED,         ORPHANED,             REVOKE,             NONE,           NONE, NONE, 0,
  MODIFIED,             PURGE,             LEAVING,              REVOKE,             NONE,           NONE, NONE, 0,
  MODIFIED,             EXECUTE,           MODIFIED,             PERFORM,            NONE,           NONE, NONE, 0,

  LOWERING,             READ,              LOWERING,             NONE,               NONE,           NONE, NONE, 0,
  LOWERING,             WRITE,             LOWERING,             NONE,               NONE,           NONE, NONE, 0,
  LOWERING,             FORWARD_READ,      LOWERING,             NONE,               NONE,           NONE, NONE, 0,
  LOWERING,             FORWARD_WRITE,     LOWERING,             NONE,               NONE,           NONE, NONE, 0,
  LOWERING,             GONE_CLEAN,        OWNED,                GIVE_READERS,       TELL_CLEAN,     WAKE, NONE, 0,
  LOWERING,             GONE_DIRTY,        OWNED,                GIVE_READERS,       WAKE,           NONE, NONE, 0,
  LOWERING,             HOME_DIED,         ORPHANED,             REVOKE,             NONE,           NONE, NONE, 0,
  LOWERING,             EXECUTE,           LOWERING,             PERFORM,            NONE,           NONE, NONE, 0,

  LEAVING,              READ,              LEAVING,              NONE,               NONE,           NONE, NONE, 0,
  LEAVING,              WRITE,             LEAVING,              NONE,               NONE,           NONE, NONE, 0,
  LEAVING,              GONE_CLEAN,        INVALID,              GIVE_READERS,       ANSWER,         WAKE, NONE, 0,
  LEAVING,              GONE_DIRTY,        INVALID,              GIVE_READERS,       ANSWER,         WAKE, NONE, 0,
  LEAVING,              HOME_DIED,         ORPHANED,             NONE,               NONE,           NONE, NONE, 0,
  LEAVING,              EXECUTE,           LEAVING,              PERFORM,            NONE,           NONE, NONE, 0,

  FAILED,               READ,              FAILED,               NONE,               NONE,           NONE, NONE, 0,
  FAILED,               WRITE,             FAILED,               NONE,               NONE,           NONE, NONE, 0,
  FAILED,               INVALIDATE,        FAILED,               REFUSE,             NONE,           NONE, NONE, 0,
  FAILED,               FORWARD_READ,      FAILED,               REFUSE,             NONE,           NONE, NONE, 0,
  FAILED,               FORWARD_WRITE,     FAILED,               REFUSE,             NONE,           NONE, NONE, 0,
  FAILED,               FAILURE_KNOWN,     INVALID,              WAKE,               NONE,           NONE, NONE, 0,
  FAILED,               HOME_DIED,         INVALID,              LOSE,               NONE,           NONE, NONE, 0,
  FAILED,               EXECUTE,           FAILED,               REJECT,             NONE,           NONE, NONE, 0,

  FAILED_SHARED,        READ,              FAILED_SHARED,        GRANT,              NONE,           NONE, NONE, 0,
  FAILED_SHARED,        WRITE,             FAILED_SHARED,        NONE,               NONE,           NONE, NONE, 0,
  FAILED_SHARED,        FORWARD_READ,      FAILED_SHARED,        REFUSE,             NONE,           NONE, NONE, 0,
  FAILED_SHARED,        FORWARD_WRITE,     FAILED_SHARED,        REFUSE,             NONE,           NONE, NONE, 0,
  FAILED_SHARED,        INVALIDATE,        FAILED_LEAVING,       REVOKE,             NONE,           NONE, NONE, 0,
  FAILED_SHARED,        FAILURE_KNOWN,     SHARED,               WAKE,               NONE,           NONE, NONE, 0,
  FAILED_SHARED,        HOME_DIED,         ORPHANED,             REVOKE,             NONE,           NONE, NONE, 0,
  FAILED_SHARED,        EXECUTE,           FAILED_SHARED,        REJECT,             NONE,           NONE, NONE, 0,

  FAILED_LEAVING,       READ,              FAILED_LEAVING,       NONE,               NONE,           NONE, NONE, 0,
  FAILED_LEAVING,       WRITE,             FAILED_LEAVING,       NONE,               NONE,           NONE, NONE, 0,
  FAILED_LEAVING,       FORWARD_READ,      FAILED_LEAVING,       REFUSE,             NONE,           NONE, NONE, 0,
  FAILED_LEAVING,       FORWARD_WRITE,     FAILED_LEAVING,       REFUSE,             NONE,           NONE, NONE, 0,
  FAILED_LEAVING,       GONE_CLEAN,        FAILED,               ANSWER,             NONE,           NONE, NONE, 0,
  FAILED_LEAVING,       GONE_DIRTY,        FAILED,               ANSWER,             NONE,           NONE, NONE, 0,
  FAILED_LEAVING,       FAILURE_KNOWN,     OWNED_LEAVING,        NONE,               NONE,           NONE, NONE, 0,
  FAILED_LEAVING,       HOME_DIED,         ORPHANED,             NONE,               NONE,           NONE, NONE, 0,
  FAILED_LEAVING,       EXECUTE,           FAILED_LEAVING,       REJECT,             NONE,           NONE, NONE, 0,

  ORPHANED,             GONE_CLEAN,        INVALID,              LOSE,               NONE,           NONE, NONE, 0,
  ORPHANED,             GONE_DIRTY,        INVALID,              LOSE,               NONE,           NONE, NONE, 0,
  ORPHANED,             EXECUTE,           ORPHANED,             REJECT,             NONE,           NONE, NONE, 0,

  INVALID_OPERATE,      READ,              INVALID_OPERATE,      NONE,               NONE,           NONE, NONE, 0,
  INVALID_OPERATE,      WRITE,             INVALID_OPERATE,      NONE,               NONE,           NONE, NONE, 0,
  INVALID_OPERATE,      OPERATED,          INVALID,              COMPLETE,           WAKE,           NONE, NONE, 0,
  INVALID_OPERATE,      REJECTED,          INVALID,              DECLINE,            WAKE,           NONE, NONE, 0,
  INVALID_OPERATE,      MISSED,            INVALID_OPERATE,      ASK_OPERATE,        NONE,           NONE, NONE, 0,
  INVALID_OPERATE,      FAILURE,           INVALID,              FAIL_OPERATION,     WAKE,           NONE, NONE, 0,
  INVALID_OPERATE,      HOME_DIED,         INVALID,              LOSE,               NONE,           NONE, NONE, 0,
  INVALID_OPERATE,      PURGE,             INVALID_OPERATE,      SURRENDER,          NONE,           NONE, NONE, 0,
  INVALID_OPERATE,      EXECUTE,           INVALID_OPERATE,      REJECT,             NONE,           NONE, NONE, 0,
  INVALID_OPERATE,      UNTOUCHED_READ,    INVALID_OPERATE,      GIVE_ZEROS,         NONE,           NONE, NONE, 0,
  INVALID_OPERATE,      UNTOUCHED_WRITE,   INVALID_OPERATE,      GIVE_ZEROS,         NONE,           NONE, NONE, 0,
  INVALID_OPERATE,      INVALIDATE_NOTHING, INVALID_OPERATE,     ACKNOWLEDGE,        NONE,           NONE, NONE, 0,

  OFFERING,             READ,              OFFERING,             NONE,               NONE,           NONE, NONE, 0,
  OFFERING,             WRITE,             OFFERING,             NONE,               NONE,           NONE, NONE, 0,
  OFFERING,             FORWARD_READ,      OFFERING,             NONE,               NONE,           NONE, NONE, 0,
  OFFERING,             FORWARD_WRITE,     LEAVING,              REVOKE,             NONE,           NONE, NONE, 0,
  OFFERING,             GONE_CLEAN,        OFFERED,              GIVE_READERS,       WAKE,           NONE, NONE, 0,
  OFFERING,             GONE_DIRTY,        OFFERED,              GIVE_READERS,       WAKE,           NONE, NONE, 0,
  OFFERING,             HOME_DIED,         ORPHANED,             NONE,               NONE,           NONE, NONE, 0,
  OFFERING,             EXECUTE,           OFFERING,             PERFORM,            NONE,           NONE, NONE, 0,

  OFFERED,              READ,              OFFERED_WRITE,        ASK_WRITE,          NONE,           NONE, NONE, 0,
  OFFERED,              WRITE,             OFFERED_WRITE,        ASK_WRITE,          NONE,           NONE, NONE, 0,
  OFFERED,              FORWARD_READ,      OFFERED,              GIVE_READERS,       NONE,           NONE, NONE, 0,
  OFFERED,              FORWARD_WRITE,     OWNED_LEAVING,        REVOKE,             NONE,           NONE, NONE, 0,
  OFFERED,              INVALIDATE,        OWNED_LEAVING,        REVOKE,             NONE,           NONE, NONE, 0,
  OFFERED,              TAKEN,             INVALID,              NONE,               NONE,           NONE, NONE, 0,
  OFFERED,              UNTAKEN,           OWNED,                NONE,               NONE,           NONE, NONE, 0,
  OFFERED,              PURGE,             OWNED_LEAVING,        REVOKE,             NONE,           NONE, NONE, 0,
  OFFERED,              HOME_DIED,         ORPHANED,             REVOKE,             NONE,           NONE, NONE, 0,
  OFFERED,              EXECUTE,           OFFERED,              REJECT,             NONE,           NONE, NONE, 0,

  OFFERED_WRITE,        READ,              OFFERED_WRITE,        NONE,               NONE,           NONE, NONE, 0,
  OFFERED_WRITE,        WRITE,             OFFERED_WRITE,        NONE,               NONE,           NONE, NONE, 0,
  OFFERED_WRITE,        GOT_COLLECT,       COLLECTING,           NONE,               NONE,           NONE, NONE, 0,
  OFFERED_WRITE,        GOT_MODIFIED,      MODIFIED,             GRANT,              NONE,           NONE, NONE, 0,
  OFFERED_WRITE,        ACKNOWLEDGED,      OFFERED_WRITE,        NONE,               NONE,           NONE, NONE, 0,
  OFFERED_WRITE,        FORWARD_READ,      OFFERED_WRITE,        GIVE_READERS,       NONE,           NONE, NONE, 0,
  OFFERED_WRITE,        FORWARD_WRITE,     OWNED_WRITE_LEAVING,  REVOKE,             NONE,           NONE, NONE, 0,
  OFFERED_WRITE,        INVALIDATE,        OWNED_WRITE_LEAVING,  REVOKE,             NONE,           NONE, NONE, 0,
  OFFERED_WRITE,        TAKEN,             INVALID_WRITE,        NONE,               NONE,           NONE, NONE, 0,
  OFFERED_WRITE,        UNTAKEN,           OWNED_WRITE,          NONE,               NONE,           NONE, NONE, 0,
  OFFERED_WRITE,        PURGE,             OWNED_WRITE_LEAVING,  REVOKE,             NONE,           NONE, NONE, 0,
  OFFERED_WRITE,        HOME_DIED,         ORPHANED,             REVOKE,             NONE,           NONE, NONE, 0,
  OFFERED_WRITE,        EXECUTE,           OFFERED_WRITE,        NONE,               NONE,           NONE, NONE, 0,

  // --- Directory ---
  UNUSED,               GET_READ,          HELD,                 GRANT_EXCLUSIVE,    NONE,           NONE, NONE, 0,
  UNUSED,               GET_WRITE,         HELD,                 GRANT_MODIFIED,     NONE,           NONE, NONE, 0,
  UNUSED,               CLEAN_LATE,        UNUSED,               NONE,               NONE,           NONE, NONE, 0,
  UNUSED,               OTHER_FAILED,      UNUSED,               CONFIRM_LOSS,       NONE,           NONE, NONE, 0,
  UNUSED,               GET_OPERATE,       UNUSED,               REJECT_SENDER,      NONE,           NONE, NONE, 0,

  CLEAN_SHARED,         GET_READ,          CLEAN_SHARED,         GRANT_SHARED,       NONE,           NONE, NONE, 0,
  CLEAN_SHARED,         GET_WRITE,         HELD,                 INVALIDATE_SHARERS, GRANT_MODIFIED, NONE, NONE, 0,
  CLEAN_SHARED,         GET_WRITE_SHARER,  HELD,                 INVALIDATE_SHARERS, GRANT_MODIFIED, NONE, NONE, 0,
  CLEAN_SHARED,         CLEAN_LATE,        CLEAN_SHARED,         NONE,               NONE,           NONE, NONE, 0,
  CLEAN_SHARED,         OTHER_FAILED,      CLEAN_SHARED,         DROP_SENDER,        CONFIRM_LOSS,   NONE, NONE, 0,
  CLEAN_SHARED,         SHARER_DIED,       CLEAN_SHARED,         DROP_SENDER,        NONE,           NONE, NONE, 0,
  CLEAN_SHARED,         SHARERS_DIED,      UNUSED,               DROP_SENDER,        NONE,           NONE, NONE, 0,
  CLEAN_SHARED,         GET_OPERATE,       CLEAN_SHARED,         REJECT_SENDER,      NONE,           NONE, NONE, 0,

  HELD,                 GET_READ,          HELD,                 PASS_READ,          NONE,           NONE, NONE, 0,
  HELD,                 GET_WRITE,         HELD,                 INVALIDATE_SHARERS, PASS_WRITE,     NONE, NONE, 0,
  HELD,                 GET_WRITE_SHARER,  HELD,                 INVALIDATE_SHARERS, PASS_WRITE,     NONE, NONE, 0,
  HELD,                 GET_READ_OWNER,    CLEAN_SHARED,         RELEASE_OWNER,      GRANT_SHARED,   NONE, NONE, 0,
  HELD,                 GET_WRITE_OWNER,   HELD,                 INVALIDATE_SHARERS, GRANT_MODIFIED, NONE, NONE, 0,
  HELD,                 CLEAN,             CLEAN_SHARED,         RELEASE_OWNER,      NONE,           NONE, NONE, 0,
  HELD,                 CLEAN_LATE,        HELD,                 NONE,               NONE,           NONE, NONE, 0,
  HELD,                 COPIED,            CLEAN_SHARED,         RELEASE_OWNER,      NONE,           NONE, NONE, 0,
  HELD,                 OTHER_FAILED,      HELD,                 DROP_SENDER,        CONFIRM_LOSS,   NONE, NONE, 0,
  HELD,                 OWNER_FAILED,      RECOVERING,           CONFIRM_LOSS,       PURGE_ALL,      NONE, NONE, 0,
  HELD,                 SHARER_DIED,       HELD,                 DROP_SENDER,        NONE,           NONE, NONE, 0,
  HELD,                 OWNER_DIED,        RECOVERING,           PURGE_ALL,          NONE,           NONE, NONE, 0,
  HELD,                 GET_OPERATE,       HELD,                 PASS_OPERATE,       NONE,           NONE, NONE, 0,

  RECOVERING,           GET_READ,          RECOVERING,           KEEP,               NONE,           NONE, NONE, 0,
  RECOVERING,           GET_WRITE,         RECOVERING,           KEEP,               NONE,           NONE, NONE, 0,
  RECOVERING,           CLEAN_LATE,        RECOVERING,           NONE,               NONE,           NONE, NONE, 0,
  RECOVERING,           OTHER_FAILED,      RECOVERING,           CONFIRM_LOSS,       NONE,           NONE, NONE, 0,
  RECOVERING,           SURRENDERED,       RECOVERING,           TAKE_BACK,          NONE,           NONE, NONE, 0,
  RECOVERING,           RECOVERED,         UNUSED,               TAKE_BACK,          RESUME,         NONE, NONE, 0,
  RECOVERING,           UNRECOVERED,       LOST,                 RESUME,             NONE,           NONE, NONE, 0,
  RECOVERING,           GET_OPERATE,       RECOVERING,           REJECT_SENDER,      NONE,           NONE, NONE, 0,

  LOST,                 GET_READ,          UNUSED,               FAIL_ONCE,          NONE,           NONE, NONE, 0,
  LOST,                 GET_WRITE,         UNUSED,               FAIL_ONCE,          NONE,           NONE, NONE, 0,
  LOST,                 OTHER_FAILED,      LOST,                 CONFIRM_LOSS,       NONE,           NONE, NONE, 0,
  LOST,                 GET_OPERATE,       LOST,                 REJECT_SENDER,      NONE,           NONE, NONE, 0,
  END,                  0,                 0,                    NONE,               NONE,           NONE, NONE, 0,
]);
