// How long those who are voted out have been silent (R0). A lease is renewed by who hears its holder: a machine of which no voter has
// heard anything for as long as a lease lasts has none any more when the view without it is decided, and nobody has to wait
// for its end. So each voter says with its vote how long it has heard nothing of those whom it votes out, and the decided view tells all how
// long at least more than half of the votes have. Pure.
//
// Times are the machine's own; what travels is how long ago, so a frame that is late on the wire makes the silence
// shorter than it was, never longer. 0 = nothing is known.
import { View, viewHas, viewLife } from "./view";

/** Of the members of `view` whom `next` leaves out: when one of them was last heard; `none` when it leaves out nobody. */
export function lastWordOf(view: View, next: View, self: u32, heard: usize, none: u64): u64 {
  let last: u64 = 0;
  let count: u32 = 0;
  for (let rest = view.members; rest != 0; rest &= rest - 1) {
    const machine = <u32>ctz(rest) + 1;
    if (machine == self || viewHas(next, machine, viewLife(view, machine))) continue;
    last = max<u64>(last, load<u64>(heard + ((machine - 1) << 3)));
    count++;
  }
  return count == 0 ? none : last;
}

/** What a frame says about it, at its arrival. */
export function lastWordFrom(silence: u64, now: u64): u64 {
  return now - min<u64>(silence, now);
}
