// Bugs in the page protocol's table: rows of the compiled table that are changed, one bug at a time. The engine that is judged is
// the one that ships: only its rows change.
/** [state, event, next state, actions...] */
export type Change = [state: string, event: string, next: string, ...actions: string[]];

interface RowBug {
  readonly name: string;
  readonly kills?: number;
  readonly ranges?: true;
  /** Machines guess who owns a page. */
  readonly guesses?: true;
  readonly rows: Change[];
}
export const rowBugs: readonly RowBug[] = [
  {
    name: "acknowledges before the shoot-down",
    rows: [
      ["SHARED", "INVALIDATE", "SHARED_LEAVING", "REVOKE", "ANSWER"],
      ["SHARED_LEAVING", "GONE_CLEAN", "INVALID", "WAKE"],
    ],
  },
  {
    name: "writes before the last acknowledgement",
    rows: [["INVALID_WRITE", "GOT_COLLECT", "MODIFIED", "TAKE", "GRANT"]],
  },
  {
    name: "upgrades before the last acknowledgement",
    rows: [["SHARED_WRITE", "GOT_COLLECT", "MODIFIED", "GRANT"]],
  },
  {
    name: "an E holder shares its page and keeps the right to write",
    rows: [["EXCLUSIVE", "FORWARD_READ", "EXCLUSIVE", "GIVE_READERS"]],
  },
  {
    name: "an M holder shares its page and keeps the right to write",
    rows: [["MODIFIED", "FORWARD_READ", "MODIFIED", "GIVE_READERS"]],
  },
  {
    name: "an M holder gives its bytes early and keeps the right to write",
    guesses: true,
    rows: [["MODIFIED", "GUESSED", "MODIFIED", "GIVE_READERS"]],
  },
  {
    name: "an M holder offers its page and goes on writing",
    guesses: true,
    rows: [["MODIFIED", "GUESSED_WRITE", "OFFERED", "GIVE_READERS"]],
  },
  {
    name: "who has offered a page goes on reading it",
    guesses: true,
    rows: [["OFFERED", "READ", "OFFERED", "GRANT"]],
  },
  {
    name: "who wants back what he has offered reads it meanwhile",
    guesses: true,
    rows: [["OFFERED_WRITE", "READ", "OFFERED_WRITE", "GRANT"]],
  },
  {
    name: "who has offered a page does an operation on it",
    guesses: true,
    rows: [["OFFERED", "EXECUTE", "OFFERED", "PERFORM"]],
  },
  {
    name: "a page is offered to one writer while it leaves for another",
    guesses: true,
    rows: [["OFFERING", "FORWARD_WRITE", "OFFERING"]],
  },
  {
    name: "hands a page over before the shoot-down",
    rows: [
      ["MODIFIED", "FORWARD_WRITE", "LEAVING", "REVOKE", "ANSWER"],
      ["LEAVING", "GONE_DIRTY", "INVALID", "WAKE"],
    ],
  },
  {
    name: "a former owner goes on as if it owned the page",
    rows: [["LEAVING", "GONE_DIRTY", "OWNED", "GIVE_READERS", "ANSWER", "WAKE"]],
  },
  {
    name: "an upgrade whose copy was lost believes that it has it",
    rows: [["SHARED_WRITE_LEAVING", "GONE_CLEAN", "SHARED_WRITE", "ANSWER"]],
  },
  {
    name: "the home forgets to forward a writer",
    rows: [["HELD", "GET_WRITE", "HELD", "INVALIDATE_SHARERS"]],
  },
  { name: "the home forgets to forward a reader", rows: [["HELD", "GET_READ", "HELD"]] },
  {
    name: "the home does not invalidate the sharers of a clean page",
    rows: [["CLEAN_SHARED", "GET_WRITE", "HELD", "GRANT_MODIFIED"]],
  },
  {
    name: "the home does not invalidate the sharers of an owned page",
    rows: [["HELD", "GET_WRITE_OWNER", "HELD", "GRANT_MODIFIED"]],
  },
  {
    name: "a dirty owner says that the backing store is right",
    rows: [["LOWERING", "GONE_DIRTY", "OWNED", "GIVE_READERS", "TELL_CLEAN", "WAKE"]],
  },
  {
    name: "a late note of cleanness is believed",
    rows: [["HELD", "CLEAN_LATE", "CLEAN_SHARED", "RELEASE_OWNER"]],
  },
  {
    name: "the home reads the backing store while somebody owns the page",
    rows: [["HELD", "GET_READ", "HELD", "GRANT_SHARED"]],
  },
  {
    name: "an invalidation that came before the page is acknowledged at once",
    rows: [["INVALID_READ", "INVALIDATE", "INVALID_READ", "REFUSE"]],
  },
  {
    name: "an owner of a shared page writes without asking",
    rows: [["OWNED", "WRITE", "MODIFIED", "GRANT"]],
  },
  { name: "a sharer writes without asking", rows: [["SHARED", "WRITE", "MODIFIED", "GRANT"]] },
  {
    name: "E is granted while others share",
    rows: [["CLEAN_SHARED", "GET_READ", "CLEAN_SHARED", "GRANT_EXCLUSIVE"]],
  },
  { name: "E is granted and not written down", rows: [["UNUSED", "GET_READ", "UNUSED", "GRANT_EXCLUSIVE"]] },
  { name: "the data that came is not taken", rows: [["INVALID_READ", "GOT_SHARED", "SHARED", "GRANT"]] },
  {
    name: "threads are not woken when their page has left",
    rows: [["LEAVING", "GONE_DIRTY", "INVALID", "GIVE_READERS", "ANSWER"]],
  },
  {
    name: "the waiting threads are not told that the right is here",
    rows: [["COLLECTING", "LAST_ACKNOWLEDGED", "MODIFIED"]],
  },
  {
    name: "death: a failed request is not reported to the home",
    kills: 1,
    rows: [["INVALID_WRITE", "FAILURE", "FAILED", "LOSE"]],
  },
  {
    name: "death: the page is given out again while it may be on its way",
    kills: 1,
    rows: [["HELD", "OWNER_DIED", "UNUSED"]],
  },
  {
    name: "death: a machine asked to let go keeps its copy",
    kills: 1,
    rows: [["SHARED", "PURGE", "SHARED", "SURRENDER"]],
  },
  {
    name: "death: an orphaned page stays in use without an answer",
    kills: 1,
    rows: [["INVALID_READ", "HOME_DIED", "INVALID"]],
  },
  {
    name: "death: requests that came during recovery are dropped",
    kills: 1,
    rows: [
      ["RECOVERING", "RECOVERED", "UNUSED", "TAKE_BACK"],
      ["RECOVERING", "UNRECOVERED", "LOST"],
    ],
  },
  {
    name: "an owner does an operation on a page that others can read",
    rows: [["OWNED", "EXECUTE", "OWNED", "PERFORM"]],
  },
  { name: "a sharer does an operation", rows: [["SHARED", "EXECUTE", "SHARED", "PERFORM"]] },
  { name: "a former owner does an operation", rows: [["INVALID", "EXECUTE", "INVALID", "PERFORM"]] },
  {
    name: "an operation is done before the page is here",
    rows: [["INVALID_WRITE", "EXECUTE", "INVALID_WRITE", "PERFORM"]],
  },
  {
    name: "an operation is done before the last acknowledgement",
    rows: [["COLLECTING", "EXECUTE", "COLLECTING", "PERFORM"]],
  },
  {
    name: "an operation that nobody did is taken for done",
    rows: [["INVALID_OPERATE", "REJECTED", "INVALID", "COMPLETE", "WAKE"]],
  },
  {
    name: "a wrong guess is taken for an answer",
    rows: [["INVALID_OPERATE", "MISSED", "INVALID", "COMPLETE", "WAKE"]],
  },
  {
    name: "an operation that was done is done once more by the page",
    rows: [["INVALID_OPERATE", "OPERATED", "INVALID", "DECLINE", "WAKE"]],
  },
  {
    name: "an operation that was done is sent again",
    rows: [["INVALID_OPERATE", "OPERATED", "INVALID_OPERATE", "ASK_OPERATE"]],
  },
  {
    name: "threads that came during an operation are not woken",
    rows: [["INVALID_OPERATE", "OPERATED", "INVALID", "COMPLETE"]],
  },
  { name: "the home forgets to pass an operation on", rows: [["HELD", "GET_OPERATE", "HELD"]] },
  {
    name: "the home does not answer an operation on a clean page",
    rows: [["CLEAN_SHARED", "GET_OPERATE", "CLEAN_SHARED"]],
  },
  { name: "a former owner keeps an operation", rows: [["INVALID", "EXECUTE", "INVALID"]] },
  {
    name: "death: an operation waits for a dead owner",
    kills: 1,
    rows: [["INVALID_OPERATE", "FAILURE", "INVALID_OPERATE"]],
  },
  {
    name: "death: an operation waits for a dead home",
    kills: 1,
    rows: [["INVALID_OPERATE", "HOME_DIED", "INVALID"]],
  },
  {
    name: "ranges: an untouched page is not given to a writer",
    ranges: true,
    rows: [["INVALID", "UNTOUCHED_WRITE", "INVALID"]],
  },
  {
    name: "ranges: who has nothing of a page does not acknowledge",
    ranges: true,
    rows: [["INVALID", "INVALIDATE_NOTHING", "INVALID"]],
  },
  {
    name: "ranges: a writer waits behind a request that the home ordered behind him",
    ranges: true,
    rows: [["INVALID_WRITE", "UNTOUCHED_WRITE", "INVALID_WRITE"]],
  },
  {
    name: "ranges: a reader waits behind a request that the home ordered behind him",
    ranges: true,
    rows: [["INVALID_READ", "UNTOUCHED_READ", "INVALID_READ"]],
  },
  {
    name: "ranges: an untouched page is given away and taken as well",
    ranges: true,
    rows: [["INVALID_WRITE", "UNTOUCHED_WRITE", "MODIFIED", "GIVE_ZEROS", "GRANT"]],
  },
  {
    name: "ranges: the owner of an untouched page is granted E while others read it",
    ranges: true,
    rows: [["HELD", "GET_READ_OWNER", "HELD", "GRANT_EXCLUSIVE"]],
  },
  {
    name: "ranges: the owner of an untouched page is sent to himself",
    ranges: true,
    rows: [["HELD", "GET_READ_OWNER", "HELD", "PASS_READ"]],
  },
  {
    name: "ranges: the home believes that a reading owner wrote",
    ranges: true,
    rows: [["HELD", "GET_READ_OWNER", "HELD", "GRANT_MODIFIED"]],
  },
  {
    name: "ranges: a page of a dead machine's range reads as zeros, and nobody is told",
    kills: 1,
    ranges: true,
    rows: [["LOST", "GET_READ", "HELD", "GRANT_EXCLUSIVE"]],
  },
];
