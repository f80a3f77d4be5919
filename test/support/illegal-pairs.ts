// The pairs of a state and an event that have no row in the page protocol's table (kernel/coherence/table.ts), each with the reason why
// it cannot happen: caches and directories apart, since an event is for the ones or for the others. A pair that is neither there nor
// here fails test/kernel/coherence-table.test.ts, as does one that is in both; ARCHITECTURE.md is printed from this list too.

export interface Illegal {
  /** Separated by blanks: each of the events in each of the states. */
  readonly events: string;
  readonly states: string;
  readonly because: string;
}

// biome-ignore format: a table reads by columns
export const illegal: readonly Illegal[] = [
  {
    events: "READ WRITE",
    states: "ORPHANED",
    because: "threads are not let in after the home died, nor into a directory",
  },
  {
    events: "GOT_SHARED GOT_EXCLUSIVE",
    states: 
      "INVALID INVALID_WRITE COLLECTING SHARED SHARED_WRITE SHARED_LEAVING SHARED_WRITE_LEAVING OWNED " +
      "OWNED_WRITE OWNED_LEAVING OWNED_WRITE_LEAVING EXCLUSIVE MODIFIED LOWERING LEAVING FAILED " +
      "FAILED_SHARED FAILED_LEAVING ORPHANED INVALID_OPERATE OFFERING OFFERED OFFERED_WRITE",
    because: "only an open request to read is answered so",
  },
  {
    events: "GOT_COLLECT GOT_MODIFIED",
    states: 
      "INVALID INVALID_READ COLLECTING SHARED SHARED_LEAVING SHARED_WRITE_LEAVING OWNED OWNED_LEAVING " +
      "OWNED_WRITE_LEAVING EXCLUSIVE MODIFIED LOWERING LEAVING FAILED FAILED_SHARED FAILED_LEAVING " +
      "ORPHANED INVALID_OPERATE OFFERING OFFERED",
    because: "only an open request to write is answered so, and by someone who waits for earlier acknowledgements of ours",
  },
  {
    events: "ACKNOWLEDGED",
    states: 
      "INVALID INVALID_READ SHARED SHARED_LEAVING OWNED OWNED_LEAVING EXCLUSIVE MODIFIED LOWERING LEAVING " +
      "FAILED FAILED_SHARED FAILED_LEAVING ORPHANED INVALID_OPERATE OFFERING OFFERED",
    because: "sharers acknowledge to an open request to write",
  },
  {
    events: "LAST_ACKNOWLEDGED",
    states: 
      "INVALID INVALID_READ INVALID_WRITE SHARED SHARED_WRITE SHARED_LEAVING SHARED_WRITE_LEAVING OWNED " +
      "OWNED_WRITE OWNED_LEAVING OWNED_WRITE_LEAVING EXCLUSIVE MODIFIED LOWERING LEAVING FAILED " +
      "FAILED_SHARED FAILED_LEAVING ORPHANED INVALID_OPERATE OFFERING OFFERED OFFERED_WRITE",
    because: "the last acknowledgement counts when the page is here already",
  },
  {
    events: "INVALIDATE",
    states: 
      "INVALID INVALID_WRITE COLLECTING SHARED_LEAVING SHARED_WRITE_LEAVING OWNED_LEAVING " +
      "OWNED_WRITE_LEAVING EXCLUSIVE MODIFIED LOWERING LEAVING FAILED_LEAVING ORPHANED INVALID_OPERATE " +
      "OFFERING",
    because: "the home invalidates sharers only, before it orders a request of theirs",
  },
  {
    events: "FORWARD_READ FORWARD_WRITE",
    states: "INVALID INVALID_READ SHARED SHARED_LEAVING OWNED_LEAVING LEAVING ORPHANED INVALID_OPERATE",
    because: "the home forwards to the owner only, and to nobody behind his successor",
  },
  {
    events: "GONE_CLEAN",
    states: 
      "INVALID INVALID_READ INVALID_WRITE COLLECTING SHARED SHARED_WRITE OWNED OWNED_WRITE EXCLUSIVE " +
      "MODIFIED FAILED FAILED_SHARED INVALID_OPERATE OFFERED OFFERED_WRITE",
    because: "follows a revocation; a copy that is not owned is never dirty",
  },
  {
    events: "GONE_DIRTY",
    states: 
      "INVALID INVALID_READ INVALID_WRITE COLLECTING SHARED SHARED_WRITE SHARED_LEAVING " +
      "SHARED_WRITE_LEAVING OWNED OWNED_WRITE EXCLUSIVE MODIFIED FAILED FAILED_SHARED INVALID_OPERATE " +
      "OFFERED OFFERED_WRITE",
    because: "follows a revocation; a copy that is not owned is never dirty",
  },
  {
    events: "FAILURE",
    states: 
      "INVALID SHARED SHARED_LEAVING OWNED OWNED_LEAVING EXCLUSIVE MODIFIED LOWERING LEAVING FAILED " +
      "FAILED_SHARED FAILED_LEAVING ORPHANED OFFERING OFFERED OFFERED_WRITE",
    because: "ends an open request whose answer another machine owed",
  },
  {
    events: "HOME_DIED",
    states: "ORPHANED",
    because: "a home dies once, and knows it least of all",
  },
  {
    events: "PURGE",
    states: 
      "COLLECTING SHARED_LEAVING SHARED_WRITE_LEAVING OWNED_LEAVING OWNED_WRITE_LEAVING " +
      "LOWERING LEAVING FAILED FAILED_SHARED FAILED_LEAVING ORPHANED OFFERING",
    because: "comes when nothing ordered before is open, and the page is not on its way out",
  },
  {
    events: "FAILURE_KNOWN",
    states: 
      "INVALID INVALID_READ INVALID_WRITE COLLECTING SHARED SHARED_WRITE SHARED_LEAVING " +
      "SHARED_WRITE_LEAVING OWNED OWNED_WRITE OWNED_LEAVING OWNED_WRITE_LEAVING EXCLUSIVE MODIFIED " +
      "LOWERING LEAVING ORPHANED INVALID_OPERATE OFFERING OFFERED OFFERED_WRITE",
    because: "answers a reported failure",
  },
  {
    events: "OPERATE",
    states: 
      "INVALID_READ INVALID_WRITE COLLECTING SHARED SHARED_WRITE SHARED_LEAVING SHARED_WRITE_LEAVING OWNED " +
      "OWNED_WRITE OWNED_LEAVING OWNED_WRITE_LEAVING EXCLUSIVE MODIFIED LOWERING LEAVING FAILED " +
      "FAILED_SHARED FAILED_LEAVING ORPHANED INVALID_OPERATE OFFERING OFFERED OFFERED_WRITE",
    because: "an operation is sent away only when nothing of the page is here and nothing is asked for",
  },
  {
    events: "OPERATED REJECTED MISSED",
    states: 
      "INVALID INVALID_READ INVALID_WRITE COLLECTING SHARED SHARED_WRITE SHARED_LEAVING " +
      "SHARED_WRITE_LEAVING OWNED OWNED_WRITE OWNED_LEAVING OWNED_WRITE_LEAVING EXCLUSIVE MODIFIED " +
      "LOWERING LEAVING FAILED FAILED_SHARED FAILED_LEAVING ORPHANED OFFERING OFFERED OFFERED_WRITE",
    because: "only an open operation is answered so",
  },
  {
    events: "GET_WRITE_SHARER",
    states: "UNUSED RECOVERING LOST",
    because: "to the directory; the owner has no need to read, and who was purged or lost shares nothing",
  },
  {
    events: "GET_WRITE_OWNER GET_READ_OWNER",
    states: "UNUSED CLEAN_SHARED RECOVERING LOST",
    because: "to the directory; the owner has no need to read, and who was purged or lost shares nothing",
  },
  {
    events: "CLEAN",
    states: "UNUSED CLEAN_SHARED RECOVERING LOST",
    because: "to the directory; there is an owner or not, and who surrendered had told before",
  },
  {
    events: "CLEAN_LATE",
    states: "LOST",
    because: "to the directory; there is an owner or not, and who surrendered had told before",
  },
  {
    events: "COPIED",
    states: "UNUSED CLEAN_SHARED RECOVERING LOST",
    because: "to the directory: the home reads from an owner",
  },
  {
    events: "OWNER_FAILED",
    states: "UNUSED CLEAN_SHARED RECOVERING LOST",
    because: "to the directory: a failure comes from the owner or not, and before its sender surrenders",
  },
  {
    events: "OWNER_DIED",
    states: "UNUSED CLEAN_SHARED RECOVERING LOST",
    because: "to the directory, which has an owner or sharers in these states only",
  },
  {
    events: "SHARER_DIED",
    states: "UNUSED RECOVERING LOST",
    because: "to the directory, which has an owner or sharers in these states only",
  },
  {
    events: "SHARERS_DIED",
    states: "UNUSED HELD RECOVERING LOST",
    because: "to the directory, which has an owner or sharers in these states only",
  },
  {
    events: "SURRENDERED RECOVERED UNRECOVERED",
    states: "UNUSED CLEAN_SHARED HELD LOST",
    because: "to the directory, while it recovers",
  },
  {
    events: "UNTOUCHED_READ UNTOUCHED_WRITE INVALIDATE_NOTHING",
    states: 
      "COLLECTING SHARED SHARED_WRITE SHARED_LEAVING SHARED_WRITE_LEAVING OWNED OWNED_WRITE OWNED_LEAVING " +
      "OWNED_WRITE_LEAVING EXCLUSIVE MODIFIED LOWERING LEAVING FAILED FAILED_SHARED FAILED_LEAVING " +
      "ORPHANED OFFERING OFFERED OFFERED_WRITE",
    because: "to a cache that has nothing of the page; one that has takes it like any other",
  },
  {
    events: "EARLY",
    states: 
      "INVALID COLLECTING SHARED SHARED_WRITE SHARED_LEAVING SHARED_WRITE_LEAVING OWNED OWNED_WRITE " +
      "OWNED_LEAVING OWNED_WRITE_LEAVING EXCLUSIVE MODIFIED LOWERING LEAVING FAILED FAILED_SHARED " +
      "FAILED_LEAVING ORPHANED INVALID_OPERATE OFFERING OFFERED OFFERED_WRITE",
    because: "only an open request of a machine without a copy takes bytes before the home's word",
  },
  {
    events: "GUESSED",
    states: 
      "INVALID INVALID_READ INVALID_WRITE COLLECTING SHARED SHARED_WRITE SHARED_LEAVING " +
      "SHARED_WRITE_LEAVING OWNED_WRITE OWNED_LEAVING OWNED_WRITE_LEAVING LOWERING LEAVING FAILED " +
      "FAILED_SHARED FAILED_LEAVING ORPHANED INVALID_OPERATE OFFERING OFFERED OFFERED_WRITE",
    because: "a guess comes to the table where this machine owns the page and nothing else is under way",
  },
  {
    events: "GUESSED_WRITE",
    states: 
      "INVALID INVALID_READ INVALID_WRITE COLLECTING SHARED SHARED_WRITE SHARED_LEAVING " +
      "SHARED_WRITE_LEAVING OWNED OWNED_WRITE OWNED_LEAVING OWNED_WRITE_LEAVING LOWERING LEAVING FAILED " +
      "FAILED_SHARED FAILED_LEAVING ORPHANED INVALID_OPERATE OFFERING OFFERED OFFERED_WRITE",
    because: "a writer's guess comes to the table where this machine has the page to itself and nothing else is under way",
  },
  {
    events: "TAKEN UNTAKEN",
    states: 
      "INVALID INVALID_READ INVALID_WRITE COLLECTING SHARED SHARED_WRITE SHARED_LEAVING " +
      "SHARED_WRITE_LEAVING OWNED OWNED_WRITE OWNED_LEAVING OWNED_WRITE_LEAVING EXCLUSIVE MODIFIED " +
      "LOWERING LEAVING FAILED FAILED_SHARED FAILED_LEAVING ORPHANED INVALID_OPERATE OFFERING",
    because: "who has offered the page hears once that it was taken, or that it was not",
  },
];
