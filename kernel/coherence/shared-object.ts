// What a machine knows of a shared object. Only data: pager.ts is what threads do with it, homes.ts and the others what machines do.

/** A named run of bytes that every machine of the cluster may map. Its home is chosen by its name (homes.ts). */
@unmanaged
export class SharedObject {
  /** Unique in the cluster and over reboots; the home's number in the low byte. */
  id: u64 = 0;
  /** Opened so often on this machine. */
  references: u32 = 0;
  home: u32 = 0;
  /** The home died, or this machine began anew: nothing works any more. */
  dead: u32 = 0;
  nameBytes: u32 = 0;
  /** Of the name that it had first, by which its home is found; 0: it never had one. */
  hash: u32 = 0;
  /** homes.ts: it has no home for the moment; this machine was its home, or the one that was has handed in; the home that it has lost by death, 0 = none. */
  moving: u32 = 0;
  /** Moving: ranges say nothing of this machine's rights, but the records and descriptors of its pages; a RangeSet of what others have handed in. */
  frozen: u32 = 0;
  reports: usize = 0;
  /** Its pages are being handed in. */
  handing: u32 = 0;
  complete: u32 = 0;
  /** Something of it is lost, and nobody has been told. */
  lossy: u32 = 0;
  /** Moving, and this machine was its home: who had ranges of it then. */
  holders: u64 = 0;
  /** Moving: to whom this machine has handed in what it has of it. */
  handedTo: u64 = 0;
  /** To whom of them it has given pages, since it leaves: it has them no more. */
  gaveTo: u64 = 0;
  /** This home took over from one that died: newer bytes than its own may be about under the numbers that it knows (serials.ts). */
  renumbered: u32 = 0;
  died: u32 = 0;
  size: u64 = 0;
  name: usize = 0;
  /** Its name was removed, for ever: who has not heard of that does not give it back. */
  unlinked: u32 = 0;
  /** links.ts: names beside its own; or it is itself a name only, of the object with this id, whose home that hash leads to (0: it is none). */
  links: u32 = 0;
  linkHash: u32 = 0;
  linkTo: u64 = 0;
  /** Per machine, how often it has the object open. */
  opens: usize = 0;
  /** Pages with a record here, linked by nextInObject. */
  pages: usize = 0;
  /** Bytes of pages without a record (kept.ts): the last that came, and the first that is there still. */
  kept: usize = 0;
  keptFirst: usize = 0;
  /** No page from here on has ever had a record or bytes here. */
  usedEnd: u64 = 0;
  /** Until when its home has no room for pages (budget.ts). */
  fullUntil: u64 = 0;
  /** A RangeSet: what the others are. At the home: who waits for a recall, linked by nextWaiter (grants.ts). */
  ranges: usize = 0;
  recalls: usize = 0;
  // At the home (wills.ts): who are told what it would leave, that some of it has not been told, and which pages. At an heir: a
  // RangeSet of the pages that the home has touched, and which home.
  heirs: u64 = 0;
  willDue: u32 = 0;
  willFirst: u64 = 0;
  willEnd: u64 = 0;
  will: usize = 0;
  willOf: u32 = 0;
  /** Its spaces of range locks (object-locks.ts), 0 until somebody locks; some program here has used fcntl() or flock() on it. */
  locks: usize = 0;
  locked: u32 = 0;
  /** Some page of it was taken from this machine soon after it came, or chunks of one were lent (contention.ts, loans.ts): who faults on it is looked at. */
  fought: u32 = 0;
  /** It has names (fs/names.ts): who reads it mostly looks only, also who has written it before (migratory.ts). */
  names: u32 = 0;
  /** A page was lost that nobody waited for (read-ahead.ts). */
  lossUntold: u32 = 0;
  /** All records; those that share a chain of object-index.ts. */
  next: usize = 0;
  previous: usize = 0;
  nextById: usize = 0;
  nextByHash: usize = 0;
}
