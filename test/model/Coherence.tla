----------------------------- MODULE Coherence -----------------------------
(***************************************************************************)
(* The page protocol for TLC.  The rows come from kernel/coherence/table.ts *)
(* (Rows.tla is printed from it); what an action means is written here a    *)
(* second time, from the table's words alone, so that a mistake in the      *)
(* kernel's cache.ts or directory.ts is not repeated.                       *)
(*                                                                          *)
(* Links keep the order of each pair of machines and lose nothing, as       *)
(* SYSLINK's do; machines die, are noticed one by one, and come back with   *)
(* empty memory; or, with Moves, homes that die are replaced (Move.tla).    *)
(* Threads run small programs: "r" reads, "w" reads and writes, "x" does    *)
(* the same as one locked operation, which the owner may do for them.  A    *)
(* step is one event of one machine, with all that it says to itself.  What *)
(* must hold is at the end.                                                 *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC, Rows

CONSTANTS
  N,          \* machines, numbered from 1; 0 stands for none
  Pages,
  Home,       \* [Pages -> machine]
  Programs,   \* [machine -> sequence of threads, each a sequence of <<letter, page>>]
  Deaths,     \* at most so many machines die
  Leaves,     \* so many leave in good order, with Moves (Move.tla)
  Guesses,    \* machines guess who owns a page, and ask him as well (kernel/coherence/early.ts)
  Rejoins,    \* those that died come back, once
  Moves,      \* membership goes by views, and the role of a home that dies moves (Move.tla)
  First       \* the world in which it begins: NewWorld, or one that follows from it

Machines == 1..N
VARIABLE w    \* the world

NoCause == [kind |-> "", machine |-> 0, copy |-> FALSE, tx |-> 0, acks |-> {}]
NoPeer == [reader |-> 0, served |-> 0, server |-> 0, kept |-> "", keptTx |-> 0, acks |-> {}, operation |-> 0,
           guessed |-> ""]   \* its request was not forwarded here: it guessed, to "read" or to "write"
NoMessage == [kind |-> "", from |-> 0, requester |-> 0, right |-> "", data |-> FALSE, dirty |-> FALSE,
              copy |-> FALSE, tx |-> 0, acks |-> {}, page |-> 0, value |-> 0, served |-> 0]

NewPage(m, p) ==
  [state |-> "INVALID", dirty |-> FALSE, cause |-> NoCause, later |-> NoCause,
   directory |-> "UNUSED", owner |-> 0, found |-> FALSE, told |-> FALSE, purge |-> FALSE, left |-> FALSE,
   tx |-> 0, purgeTx |-> 0, expected |-> {}, received |-> {}, readers |-> {}, sharers |-> {},
   awaited |-> {}, passed |-> {}, operations |-> {}, target |-> 0, guess |-> 0,
   \* Whom it was last given to; of an open request, what has come of it, "bytes" or "order", and the owner's request that this names;
   \* the request by which it is here, and who was sent its bytes early since; if to be written, "open", or "dead" when he has died, and for
   \* which view this machine had frozen last by then; how many FORWARD_WRITE come late.
   successor |-> 0, early |-> "", earlyServed |-> 0, tenure |-> 0, earlyTo |-> 0, earlyTx |-> 0,
   offered |-> "", offerView |-> 0, overtaken |-> 0,
   \* Frozen, the request to write that was open then; at a new home, there are such, or offers.
   asked |-> 0, claimed |-> FALSE,
   peers |-> [x \in Machines |-> NoPeer],
   invalidated |-> {}, wasSharer |-> FALSE,
   \* What is around the engine: the frame's value, written since it came, the revocation under way, the
   \* operation under way and how often it was done, threads that should ask again.
   frame |-> IF Moves \/ m = Home[p] THEN 1 ELSE 0, wrote |-> FALSE, revoking |-> "", sent |-> 0, done |-> 0,
   again |-> FALSE,
   \* Where the home is; nothing happens to a frozen page while its home moves; a frame there is not just zeros.
   home |-> Home[p], frozen |-> FALSE, away |-> 0, unanswered |-> FALSE, framed |-> FALSE,
   \* Frozen: what is here besides an operation that is open; this copy may be the only one.
   beneath |-> "INVALID", sole |-> FALSE,
   \* Frozen, where the home was: lost, and nobody has been told; somebody has, and what nobody has is to revert.
   untold |-> FALSE, reverts |-> FALSE]

\* Of a page's home, at each machine: how far its move is, and what is known of it.
NewObject(p) == [home |-> Home[p], moving |-> 0, complete |-> FALSE, ours |-> FALSE, lost |-> FALSE, lossy |-> FALSE, handed |-> {},
                 gave |-> {}]  \* who leaves: of those to whom it has handed in, those to whom it has given the page
Everybody == [view |-> 1, phase |-> 3, froze |-> 0, dying |-> {}, moves |-> FALSE, doubts |-> FALSE, left |-> {}, handedIn |-> FALSE,
              marks |-> [f \in 0..5 |-> [x \in Machines |-> 0]]]

NewWorld ==
  [pg |-> [m \in Machines |-> [p \in Pages |-> NewPage(m, p)]],
   th |-> [m \in Machines |-> [t \in DOMAIN Programs[m] |->
             [at |-> 1, st |-> "ready", declined |-> FALSE, right |-> [p \in Pages |-> 0]]]],
   alive |-> Machines, returned |-> {}, deaths |-> 0,
   dead |-> [m \in Machines |-> {}],       \* whom m knows to be dead
   cut |-> [m \in Machines |-> {}],        \* whom m does not speak to any more, with Moves
   views |-> <<Machines>>, leaving |-> <<{}>>,   \* of each view: members, those of them that are leaving
   mb |-> [m \in Machines |-> Everybody],
   ob |-> [m \in Machines |-> [p \in Pages |-> NewObject(p)]],
   last |-> [m \in Machines |-> 0],        \* its last transaction
   ch |-> [m \in Machines |-> [x \in Machines |-> <<>>]],
   latest |-> [p \in Pages |-> 1],         \* the newest value
   forgivable |-> [p \in Pages |-> 0],     \* so many values may have gone with the dead
   bad |-> ""]

Bad(v, text) == IF v.bad = "" THEN [v EXCEPT !.bad = text] ELSE v
Max(S) == CHOOSE x \in S : \A y \in S : x >= y
Min(S) == CHOOSE x \in S : \A y \in S : x =< y

(***************************** Threads ***********************************)
Op(m, v, t) == Programs[m][t][v.th[m][t].at]
Finished(m, v, t) == v.th[m][t].at > Len(Programs[m][t])
Need(op) == IF op[1] = "r" THEN 1 ELSE 2
On(m, v, t, p, sts) == ~Finished(m, v, t) /\ v.th[m][t].st \in sts /\ Op(m, v, t)[2] = p
Waiting(m, v, p) == {t \in DOMAIN v.th[m] : On(m, v, t, p, {"waits"})}

Advance(v, m, t) == [v EXCEPT !.th[m][t].st = "ready", !.th[m][t].declined = FALSE, !.th[m][t].at = @ + 1]

See(v, m, p) ==
  LET x == v.pg[m][p].frame IN
  IF x = v.latest[p] THEN v
  ELSE IF v.forgivable[p] = 0 \/ x > v.latest[p] THEN Bad(v, "an old value is seen")
  ELSE [v EXCEPT !.forgivable[p] = @ - 1, !.latest[p] = x]

Framed(v, m, p) == IF Moves THEN [v EXCEPT !.pg[m][p].framed = TRUE] ELSE v

Write(v, m, p) ==
  LET u == See(v, m, p) IN
  [u EXCEPT !.latest[p] = @ + 1, !.pg[m][p].frame = u.latest[p] + 1]

Retire(v, m, t) ==
  LET op == Op(m, v, t)
      u == IF v.th[m][t].right[op[2]] < Need(op) THEN Bad(v, "an instruction without the right") ELSE v
      x == IF Need(op) = 2 THEN [Write(u, m, op[2]) EXCEPT !.pg[m][op[2]].wrote = TRUE] ELSE See(u, m, op[2])
  IN Advance(x, m, t)

RECURSIVE FailThreads(_, _, _)
FailThreads(v, m, T) == IF T = {} THEN v ELSE LET t == Min(T) IN FailThreads(Advance(v, m, t), m, T \ {t})

(***************************** Saying ************************************)
Say(v, m, p, to, msg) ==
  IF to = 0 \/ to \in v.dead[m] \union v.cut[m] THEN v
  ELSE [v EXCEPT !.ch[m][to] = Append(@, [msg EXCEPT !.from = m, !.page = p,
          !.value = IF msg.data THEN v.pg[m][p].frame ELSE 0])]

\* `messages`: by receiver.
RECURSIVE SayEach(_, _, _, _, _)
SayEach(v, m, p, messages, S) ==
  IF S = {} THEN v
  ELSE LET x == Min(S) IN SayEach(Say(v, m, p, x, messages[x]), m, p, messages, S \ {x})
SayAll(v, m, p, messages) == SayEach(v, m, p, messages, DOMAIN messages)

M(kind) == [NoMessage EXCEPT !.kind = kind]
Granting(right, data, tx, acks) ==
  [M("GRANT") EXCEPT !.right = right, !.data = data, !.tx = tx, !.acks = acks]

(************************* Actions of a cache ****************************)
Opened(v, m, p) == [v EXCEPT !.last[m] = @ + 1, !.pg[m][p].tx = v.last[m] + 1]

Ask(v, m, p, kind) ==
  LET P == v.pg[m][p]
      u == [Opened(v, m, p) EXCEPT !.pg[m][p].expected = {}, !.pg[m][p].received = {},
                                   !.pg[m][p].early = "", !.pg[m][p].earlyServed = 0]
      writes == P.state = "INVALID_WRITE"
      guess == IF Guesses /\ (writes \/ P.state = "INVALID_READ") /\ P.home # m /\ P.successor # P.home
               THEN P.successor ELSE 0
      x == Say(u, m, p, P.home, [M(kind) EXCEPT !.tx = u.last[m], !.requester = guess])
  IN Say(x, m, p, guess, [M("GUESS") EXCEPT !.tx = u.last[m], !.right = IF writes THEN "M" ELSE ""])

\* Nothing that was or is to be sent early counts any more; by this machine's open request the page is here now.
EarlyForgotten(v, m, p) ==
  [v EXCEPT !.pg[m][p] = [@ EXCEPT !.early = "", !.earlyServed = 0, !.tenure = 0, !.earlyTo = 0, !.earlyTx = 0,
                           !.offered = ""]]
TenureBegins(v, m, p) ==
  LET u == EarlyForgotten(v, m, p) IN IF Guesses THEN [u EXCEPT !.pg[m][p].tenure = v.pg[m][p].tx] ELSE u

AskOperate(v, m, p, event) ==
  LET guess == v.pg[m][p].guess
      home == v.pg[m][p].home
      direct == event = "OPERATE" /\ guess # 0 /\ guess # home
      to == IF direct THEN guess ELSE home
      u == Opened(v, m, p)
      x == [u EXCEPT !.pg[m][p].target = to, !.pg[m][p].sent = u.last[m], !.pg[m][p].unanswered = FALSE]
  IN Say(x, m, p, to,
       [M(IF direct THEN "EXECUTE" ELSE "GET_OPERATE") EXCEPT !.tx = u.last[m], !.requester = m])

\* The owner does the operation as its answer leaves.
Perform(v, m, p, x) ==
  LET u == Write(v, m, p)
      mine == u.pg[x][p].sent = v.pg[m][p].peers[x].operation
      z == IF mine THEN [u EXCEPT !.pg[x][p].done = @ + 1] ELSE u
      used == \E o \in Machines \ {m} : \E t \in DOMAIN v.th[o] : v.th[o][t].right[p] > 0
  IN IF used /\ (Moves \/ Home[p] \in v.alive) THEN Bad(z, "an operation on a page that others can use")
     ELSE IF z.pg[x][p].done > 1 THEN Bad(z, "an operation is done twice") ELSE z

RECURSIVE AnswerEach(_, _, _, _, _)
AnswerEach(v, m, p, kind, S) ==
  IF S = {} THEN v
  ELSE LET x == Min(S)
           u == IF kind = "OPERATED" THEN Framed(Perform(v, m, p, x), m, p) ELSE v
       IN AnswerEach(Say(u, m, p, x, [M(kind) EXCEPT !.tx = v.pg[m][p].peers[x].operation]),
                     m, p, kind, S \ {x})
AnswerOperations(v, m, p, kind) ==
  AnswerEach([v EXCEPT !.pg[m][p].operations = {}], m, p, kind, v.pg[m][p].operations)

ClearReaders(v, m, p) ==
  [v EXCEPT !.pg[m][p].readers = {},
            !.pg[m][p].peers = [x \in Machines |->
               IF x \in v.pg[m][p].readers THEN [@[x] EXCEPT !.reader = 0, !.guessed = ""] ELSE @[x]]]

GiveReaders(v, m, p) ==
  LET P == v.pg[m][p]
      writes(x) == P.peers[x].guessed = "write"
      \* While a view is flushed nothing goes early.
      served == {x \in P.readers : P.peers[x].guessed = "" \/ (v.mb[m].phase # 0 /\ (~writes(x) \/ P.state = "OFFERED"))}
      grant(x) == Granting("S", TRUE, P.peers[x].reader, {})
      messages == [x \in served |-> IF P.peers[x].guessed # ""
                                    THEN [grant(x) EXCEPT !.kind = "EARLY", !.served = P.tenure,
                                            !.right = IF writes(x) THEN "M" ELSE "S", !.dirty = writes(x) /\ P.dirty]
                                    ELSE grant(x)]
      early == {x \in served : P.peers[x].guessed # ""}
      u == IF early = {} THEN v
           ELSE [v EXCEPT !.pg[m][p].earlyTo = Max(early), !.pg[m][p].earlyTx = P.peers[Max(early)].reader,
                          !.pg[m][p].offered = IF writes(Max(early)) THEN "open" ELSE ""]
  IN ClearReaders(SayAll(u, m, p, messages), m, p)

Answer(v, m, p) ==
  LET P == v.pg[m][p]
      c == P.cause
      u == CASE c.machine = 0 -> IF c.kind = "FORWARD_WRITE" THEN [v EXCEPT !.pg[m][p].left = TRUE] ELSE v
             [] c.kind = "INVALIDATE" -> Say(v, m, p, c.machine, [M("ACKNOWLEDGED") EXCEPT !.tx = c.tx])
             [] c.kind = "FORWARD_WRITE" ->
                  Say(v, m, p, c.machine, [Granting("M", ~c.copy, c.tx, c.acks) EXCEPT !.dirty = P.dirty])
             [] c.kind = "PURGE" -> Say(v, m, p, v.pg[m][p].home, [M("SURRENDER") EXCEPT !.data = TRUE])
             [] OTHER -> v
      x == EarlyForgotten(u, m, p)
  IN [x EXCEPT !.pg[m][p].cause = NoCause, !.pg[m][p].dirty = FALSE,
               !.pg[m][p].successor = IF Guesses THEN c.machine ELSE @]

Refuse(v, m, p) ==
  LET a == AnswerOperations(v, m, p, "REJECTED")
      forwarded == {x \in v.pg[m][p].readers : v.pg[m][p].peers[x].guessed = ""}
      failures == [x \in forwarded |-> [M("FAILURE") EXCEPT !.tx = v.pg[m][p].peers[x].reader]]
      b == ClearReaders(SayAll(a, m, p, failures), m, p)
      l == v.pg[m][p].later
      c == CASE l.machine = 0 -> b
             [] l.kind = "INVALIDATE" -> Say(b, m, p, l.machine, [M("ACKNOWLEDGED") EXCEPT !.tx = l.tx])
             [] l.kind = "FORWARD_WRITE" -> Say(b, m, p, l.machine, [M("FAILURE") EXCEPT !.tx = l.tx])
             [] OTHER -> b
  IN [c EXCEPT !.pg[m][p].later = NoCause]

Lose(v, m, p) ==
  LET T == {t \in DOMAIN v.th[m] : On(m, v, t, p, {"waits", "sent"})}
      u == [v EXCEPT !.pg[m][p].tx = 0, !.pg[m][p].sent = 0,
                     !.pg[m][p].dirty = IF v.pg[m][p].cause.kind = "" THEN FALSE ELSE @]
  IN Refuse(FailThreads(u, m, T), m, p)

RECURSIVE GrantTo(_, _, _, _, _)
GrantTo(v, m, p, right, T) ==
  IF T = {} THEN v
  ELSE LET t == Min(T) IN
       GrantTo(IF Need(Op(m, v, t)) > right THEN v
               ELSE [v EXCEPT !.th[m][t].st = "has", !.th[m][t].right[p] = right], m, p, right, T \ {t})
Grant(v, m, p) ==
  LET right == IF v.pg[m][p].state \in {"EXCLUSIVE", "MODIFIED"} THEN 2 ELSE 1
      u == GrantTo(v, m, p, right, Waiting(m, v, p))
  IN IF Waiting(m, u, p) # {} THEN [u EXCEPT !.pg[m][p].again = TRUE] ELSE u

Revoke(v, m, p, event) ==
  LET u == IF event \in {"INVALIDATE", "FORWARD_WRITE"}
           THEN [v EXCEPT !.pg[m][p].cause = v.pg[m][p].later, !.pg[m][p].later = NoCause] ELSE v
  IN [u EXCEPT !.pg[m][p].revoking = "all"]

\* What became of the operation that was sent.
Operated(v, m, p, outcome) ==
  LET T == {t \in DOMAIN v.th[m] : On(m, v, t, p, {"sent"})}
      done == v.pg[m][p].done
      u == [v EXCEPT !.pg[m][p].sent = 0]
      t == Min(T)
  IN IF T = {} /\ Leaves > 0 /\ \A x \in DOMAIN v.th[m] : Finished(m, v, x) THEN v \* who sent it has ended: its machine leaves
     ELSE IF T = {} THEN Bad(u, "told of an operation that was not sent")
     ELSE CASE outcome = "failed" -> IF v.deaths = 0 THEN Bad(u, "an operation fails") ELSE Advance(u, m, t)
            [] outcome = "done" -> IF done # 1 THEN Bad(u, "an operation is not done once") ELSE Advance(u, m, t)
            [] OTHER -> IF done # 0 THEN Bad(u, "an operation is declined and was done")
                        ELSE [u EXCEPT !.th[m][t].st = "waits", !.th[m][t].declined = TRUE]

(*********************** Actions of a directory **************************)
\* Where somebody has died: what the home has itself, and gives away now, was not lost before.
Served(v, m, p, msg, server, acks) ==
  LET P == v.pg[m][p]
      passed == IF server = m /\ P.state # "INVALID" /\ P.tx = 0 /\ v.dead[m] # {} THEN {} ELSE P.passed
  IN [v EXCEPT !.pg[m][p].peers[msg.from] = [@ EXCEPT !.acks = acks, !.served = msg.tx, !.server = server],
               !.pg[m][p].passed = IF server = 0 THEN passed \ {msg.from} ELSE passed \union {msg.from}]

GrantFromHome(v, m, p, msg, right) ==
  Say(Served(v, m, p, msg, 0, {}), m, p, msg.from, Granting(right, TRUE, msg.tx, {}))

InvalidateSharers(v, m, p, msg) ==
  LET P == v.pg[m][p]
      others == P.sharers \ {msg.from}
      u == [v EXCEPT !.pg[m][p].wasSharer = msg.from \in P.sharers, !.pg[m][p].invalidated = others,
                     !.pg[m][p].sharers = {}]
  IN SayAll(u, m, p, [x \in others |-> [M("INVALIDATE") EXCEPT !.requester = msg.from, !.tx = msg.tx]])

Forgotten(v, m, p) == [v EXCEPT !.pg[m][p].invalidated = {}, !.pg[m][p].wasSharer = FALSE]

GrantModified(v, m, p, msg) ==
  LET P == v.pg[m][p]
      has == P.owner = msg.from \/ (P.owner = 0 /\ P.wasSharer)
      u == [Served(Forgotten(v, m, p), m, p, msg, 0, P.invalidated) EXCEPT !.pg[m][p].owner = msg.from]
  IN Say(u, m, p, msg.from, Granting("M", ~has, msg.tx, P.invalidated))

PassWrite(v, m, p, msg) ==
  LET P == v.pg[m][p]
      guessed == msg.requester # 0 /\ msg.requester = P.owner
      served == IF guessed THEN P.peers[P.owner].served ELSE 0
      u == Served(Forgotten(v, m, p), m, p, msg, P.owner, P.invalidated)
      x == Say(u, m, p, P.owner, [M("FORWARD_WRITE") EXCEPT !.requester = msg.from, !.copy = P.wasSharer,
                                                           !.tx = msg.tx, !.acks = P.invalidated, !.served = served])
      y == Say(x, m, p, IF guessed THEN msg.from ELSE 0,
               [M("ORDERED") EXCEPT !.tx = msg.tx, !.served = served, !.acks = P.invalidated])
  IN [y EXCEPT !.pg[m][p].owner = msg.from]

PurgeAll(v, m, p) ==
  LET asked == Machines \ v.dead[m]
      u == [v EXCEPT !.pg[m][p].owner = 0, !.pg[m][p].sharers = {}, !.pg[m][p].awaited = asked]
  IN SayAll(u, m, p, [x \in asked |-> [M("PURGE") EXCEPT !.tx = v.pg[m][p].peers[x].served]])

(***************************** Rows **************************************)
\* Does who tells of a loss speak of the page as it was given away last?
SpeaksOf(P, msg) == P.owner = msg.from \/ msg.from \in P.passed

RECURSIVE Acts(_, _, _, _, _, _), Event(_, _, _, _, _), DirectoryEvent(_, _, _, _, _),
          DirectoryMessage(_, _, _, _), Resume(_, _, _, _)

Act(v, m, p, e, msg, a) ==
  CASE a = "ASK_READ" -> Ask(v, m, p, "GET_READ")
    [] a = "ASK_WRITE" -> Ask(v, m, p, "GET_WRITE")
    [] a = "TAKE" ->
         IF ~msg.data THEN Bad(v, "the right alone for who has no copy")
         ELSE Framed([v EXCEPT !.pg[m][p].left = FALSE, !.pg[m][p].frame = IF msg.from = m \/ msg.kind = "ORDERED" THEN @ ELSE msg.value],
                     m, p) \* what is ordered came early
    [] a = "GRANT" -> Grant(v, m, p)
    [] a = "REVOKE" -> Revoke(v, m, p, e)
    [] a = "REVOKE_WRITE" -> [v EXCEPT !.pg[m][p].revoking = IF @ = "all" THEN @ ELSE "write"]
    [] a = "GIVE_READERS" -> GiveReaders(v, m, p)
    [] a = "ANSWER" -> Answer(v, m, p)
    [] a = "TELL_CLEAN" -> Say(v, m, p, v.pg[m][p].home, M("CLEAN"))
    [] a = "WAKE" -> [v EXCEPT !.pg[m][p].again = TRUE]
    [] a = "LOSE" -> Lose(v, m, p)
    [] a = "TELL_LOSS" -> Say(v, m, p, v.pg[m][p].home, M("LOSS"))
    [] a = "REFUSE" -> Refuse(v, m, p)
    [] a = "SURRENDER" ->
         Say([EarlyForgotten(v, m, p) EXCEPT !.pg[m][p].cause = NoCause, !.pg[m][p].left = FALSE], m, p, v.pg[m][p].home,
             [M("SURRENDER") EXCEPT !.data = v.pg[m][p].left])
    [] a = "ASK_OPERATE" -> AskOperate(v, m, p, e)
    [] a = "COMPLETE" -> Operated(v, m, p, "done")
    [] a = "DECLINE" -> Operated(v, m, p, "declined")
    [] a = "FAIL_OPERATION" -> Operated([v EXCEPT !.pg[m][p].tx = 0], m, p, "failed")
    [] a = "PERFORM" ->
         LET u == AnswerOperations(v, m, p, "OPERATED")
         IN IF m = v.pg[m][p].home THEN u ELSE [u EXCEPT !.pg[m][p].dirty = TRUE]
    [] a = "REJECT" -> AnswerOperations(v, m, p, "REJECTED")
    \* Pages that were granted by ranges, of which this model has none: both are for a machine that has nothing of the page.
    [] a = "GIVE_ZEROS" ->
         Say(v, m, p, msg.requester,
             Granting(IF e = "UNTOUCHED_READ" THEN "S" ELSE "M", ~msg.copy, msg.tx, msg.acks))
    [] a = "ACKNOWLEDGE" -> Say(v, m, p, msg.requester, [M("ACKNOWLEDGED") EXCEPT !.tx = msg.tx])
    [] a = "GRANT_SHARED" ->
         [GrantFromHome(v, m, p, msg, "S") EXCEPT !.pg[m][p].sharers = @ \union {msg.from}]
    [] a = "GRANT_EXCLUSIVE" -> [GrantFromHome(v, m, p, msg, "E") EXCEPT !.pg[m][p].owner = msg.from]
    [] a = "GRANT_MODIFIED" -> GrantModified(v, m, p, msg)
    [] a = "PASS_READ" ->
         LET owner == v.pg[m][p].owner
             guessed == msg.requester # 0 /\ msg.requester = owner
             served == IF guessed THEN v.pg[m][p].peers[owner].served ELSE 0
             u == Say(Served(v, m, p, msg, owner, {}), m, p, owner,
                      [M("FORWARD_READ") EXCEPT !.requester = msg.from, !.tx = msg.tx, !.served = served])
             x == Say(u, m, p, IF guessed THEN msg.from ELSE 0, [M("ORDERED") EXCEPT !.tx = msg.tx, !.served = served])
         IN [x EXCEPT !.pg[m][p].sharers = @ \union {msg.from}]
    [] a = "PASS_WRITE" -> PassWrite(v, m, p, msg)
    [] a = "PASS_OPERATE" ->
         LET owner == v.pg[m][p].owner IN
         Say(Served(v, m, p, msg, owner, {}), m, p, owner,
             [M("EXECUTE") EXCEPT !.requester = msg.from, !.tx = msg.tx])
    [] a = "REJECT_SENDER" ->
         Say(Served(v, m, p, msg, 0, {}), m, p, msg.from, [M("REJECTED") EXCEPT !.tx = msg.tx])
    [] a = "INVALIDATE_SHARERS" -> InvalidateSharers(v, m, p, msg)
    [] a = "RELEASE_OWNER" ->
         [v EXCEPT !.pg[m][p].sharers = @ \union ({v.pg[m][p].owner} \ {0}), !.pg[m][p].owner = 0]
    [] a = "DROP_SENDER" -> [v EXCEPT !.pg[m][p].sharers = @ \ {msg.from}]
    [] a = "FAIL_ONCE" ->
         Say(Served(v, m, p, msg, 0, {}), m, p, msg.from, [M("FAILURE") EXCEPT !.tx = msg.tx, !.copy = TRUE])
    [] a = "CONFIRM_LOSS" ->
         LET P == v.pg[m][p]
             known == P.directory = "RECOVERING" /\ SpeaksOf(P, msg)
         IN Say([v EXCEPT !.pg[m][p].told = @ \/ known, !.pg[m][p].passed = @ \ {msg.from}],
                m, p, msg.from, M("LOSS_KNOWN"))
    [] a = "PURGE_ALL" -> PurgeAll(v, m, p)
    [] a = "KEEP" ->
         [v EXCEPT !.pg[m][p].peers[msg.from] = [@ EXCEPT !.kept = msg.kind, !.keptTx = msg.tx]]
    [] a = "TAKE_BACK" ->
         IF msg.data /\ msg.from # m THEN Framed([v EXCEPT !.pg[m][p].frame = msg.value], m, p) ELSE v
    [] a = "RESUME" -> Resume([v EXCEPT !.pg[m][p].found = FALSE, !.pg[m][p].told = FALSE], m, p, Machines)
    [] OTHER -> Bad(v, "an action without a meaning")

Acts(v, m, p, e, msg, list) ==
  IF list = <<>> THEN v ELSE Acts(Act(v, m, p, e, msg, Head(list)), m, p, e, msg, Tail(list))

Event(v, m, p, e, msg) ==
  LET row == Rows[v.pg[m][p].state] IN
  IF e \notin DOMAIN row THEN Bad(v, "no row for " \o v.pg[m][p].state \o " " \o e)
  ELSE Acts([v EXCEPT !.pg[m][p].state = row[e].next], m, p, e, msg, row[e].actions)

DirectoryEvent(v, m, p, e, msg) ==
  LET row == Rows[v.pg[m][p].directory] IN
  IF e \notin DOMAIN row THEN Bad(v, "no row for " \o v.pg[m][p].directory \o " " \o e)
  ELSE LET given == row[e].next = "HELD" /\ v.pg[m][p].directory # "HELD"
       IN Acts([v EXCEPT !.pg[m][p].directory = row[e].next, !.pg[m][p].passed = IF given THEN {} ELSE @],
               m, p, e, msg, row[e].actions)

Surrendered(v, m, p, msg) ==
  LET P == v.pg[m][p]
      rest == P.awaited \ {msg.from}
      found == P.found \/ msg.data
      u == [v EXCEPT !.pg[m][p].awaited = rest, !.pg[m][p].found = found]
  IN IF msg.from \notin P.awaited THEN v
     ELSE DirectoryEvent(u, m, p,
            IF rest # {} THEN "SURRENDERED" ELSE IF found \/ P.told THEN "RECOVERED" ELSE "UNRECOVERED", msg)

DirectoryMessage(v, m, p, msg) ==
  LET P == v.pg[m][p]
      owns == P.owner = msg.from
      e == CASE msg.kind = "GET_READ" -> "GET_READ"
             [] msg.kind = "GET_WRITE" ->
                  IF owns THEN "GET_WRITE_OWNER"
                  ELSE IF msg.from \in P.sharers THEN "GET_WRITE_SHARER" ELSE "GET_WRITE"
             [] msg.kind = "CLEAN" -> IF owns THEN "CLEAN" ELSE "CLEAN_LATE"
             [] msg.kind = "LOSS" -> IF P.directory = "HELD" /\ SpeaksOf(P, msg) THEN "OWNER_FAILED" ELSE "OTHER_FAILED"
             [] OTHER -> "GET_OPERATE"
  IN IF m # P.home THEN Bad(v, "a directory message to a machine that is not the home")
     ELSE IF msg.kind = "SURRENDER" THEN Surrendered(v, m, p, msg)
     ELSE DirectoryEvent(v, m, p, e, msg)

Resume(v, m, p, S) ==
  IF S = {} THEN v
  ELSE LET x == Min(S)
           k == v.pg[m][p].peers[x]
           u == [v EXCEPT !.pg[m][p].peers[x].kept = ""]
       IN Resume(IF k.kept = "" THEN v
                 ELSE DirectoryMessage(u, m, p, [M(k.kept) EXCEPT !.from = x, !.tx = k.keptTx, !.page = p]),
                 m, p, S \ {x})

(*************************** What comes in *******************************)
Collected(v, m, p) ==
  v.pg[m][p].expected \subseteq (v.pg[m][p].received \union v.dead[m])
Closed(v, m, p) == [v EXCEPT !.pg[m][p].tx = 0]

PutLater(v, m, p, e, msg) ==
  LET who == IF msg.requester \in v.dead[m] THEN 0 ELSE msg.requester
      u == [v EXCEPT !.pg[m][p].later =
              [kind |-> e, machine |-> who, copy |-> msg.copy, tx |-> msg.tx, acks |-> msg.acks]]
  IN IF v.pg[m][p].later.kind # "" THEN Bad(v, "two writers behind one request") ELSE Event(u, m, p, e, msg)

GotGrant(v, m, p, msg) ==
  LET P == v.pg[m][p]
      u == [v EXCEPT !.pg[m][p].dirty = IF msg.data THEN msg.dirty ELSE P.dirty \/ msg.dirty]
      x == [u EXCEPT !.pg[m][p].expected = msg.acks]
      y == IF msg.right = "E" THEN Event(Closed(TenureBegins(u, m, p), m, p), m, p, "GOT_EXCLUSIVE", msg)
           ELSE Event(Closed(EarlyForgotten(u, m, p), m, p), m, p, "GOT_SHARED", msg)
      H == y.pg[m][p]
  IN IF msg.right = "M"
     THEN IF Collected(x, m, p) THEN Event(Closed(TenureBegins(x, m, p), m, p), m, p, "GOT_MODIFIED", msg)
          ELSE Event(x, m, p, "GOT_COLLECT", msg)
     ELSE IF m = H.home /\ H.directory = "HELD" /\ m \in H.sharers THEN DirectoryEvent(y, m, p, "COPIED", msg)
     ELSE y

\* Who guessed has the bytes when the owner and the home name the same request of the owner's.
Asking(P) == P.state \in {"INVALID_READ", "INVALID_WRITE"}
Early(v, m, p, msg0) ==
  LET msg == [msg0 EXCEPT !.data = TRUE]
  IN IF v.pg[m][p].state = "INVALID_READ" THEN Event(Closed(EarlyForgotten(v, m, p), m, p), m, p, "GOT_SHARED", msg)
     ELSE IF Collected(v, m, p) THEN Event(Closed(TenureBegins(v, m, p), m, p), m, p, "GOT_MODIFIED", msg)
     ELSE Event(v, m, p, "GOT_COLLECT", msg)
\* A writer whose request is over says so to who has sent him the page for it.
SayUntaken(v, m, p, msg) ==
  Say(v, m, p, IF msg.right = "M" THEN msg.from ELSE 0, [M("UNTAKEN") EXCEPT !.tx = msg.tx])
EarlyHere(v, m, p, msg) ==
  [EarlyForgotten(v, m, p) EXCEPT !.pg[m][p].early = "bytes", !.pg[m][p].earlyServed = msg.served]
EarlyCame(v, m, p, msg) ==
  LET P == v.pg[m][p]
      u == [v EXCEPT !.pg[m][p].dirty = msg.dirty]
  IN IF P.tx = 0 \/ P.tx # msg.tx \/ ~Asking(P) THEN SayUntaken(v, m, p, msg)
     ELSE IF P.early = "bytes" THEN v
     ELSE IF P.early = "order" /\ P.earlyServed # msg.served THEN v
     ELSE IF P.early = "order" THEN Early(EarlyHere(u, m, p, msg), m, p, msg)
     ELSE Event(EarlyHere(u, m, p, msg), m, p, "EARLY", msg)
OrderCame(v, m, p, msg) ==
  LET P == v.pg[m][p]
      u == [v EXCEPT !.pg[m][p].expected = msg.acks]
  IN IF ~Asking(P) THEN v
     ELSE IF P.early = "bytes" /\ P.earlyServed = msg.served THEN Early(u, m, p, msg)
     ELSE [u EXCEPT !.pg[m][p].early = "order", !.pg[m][p].earlyServed = msg.served]

\* Who was offered the page has it.
Taken(v, m, p, msg) ==
  LET to == v.pg[m][p].earlyTo
  IN Event([v EXCEPT !.pg[m][p].successor = IF to \in v.dead[m] THEN 0 ELSE to],
           m, p, "TAKEN", msg)
\* What another sends for this machine's request says so too; the home's word comes behind it.
Overtaken(v, m, p, msg) ==
  IF v.pg[m][p].state = "OFFERED_WRITE" /\ (msg.kind = "FAILURE" \/ (msg.kind = "GRANT" /\ msg.data))
  THEN Taken([v EXCEPT !.pg[m][p].overtaken = @ + 1], m, p, msg) ELSE v

Answered(w0, m, p, msg) ==
  LET v == Overtaken(w0, m, p, msg) IN
  CASE msg.kind = "FAILURE" -> Event(v, m, p, "FAILURE", msg)
    [] msg.kind = "ACKNOWLEDGED" ->
         LET who == IF msg.requester # 0 THEN msg.requester ELSE msg.from
             u == [v EXCEPT !.pg[m][p].received = @ \union {who}]
         IN IF u.pg[m][p].state = "COLLECTING" /\ Collected(u, m, p)
            THEN Event(Closed(TenureBegins(u, m, p), m, p), m, p, "LAST_ACKNOWLEDGED", NoMessage)
            ELSE Event(u, m, p, "ACKNOWLEDGED", msg)
    [] msg.kind = "OPERATED" ->
         LET u == [Closed(v, m, p) EXCEPT !.pg[m][p].guess = msg.from]
         IN Event([u EXCEPT !.pg[m][p].successor = IF Guesses THEN msg.from ELSE @], m, p, "OPERATED", msg)
    [] msg.kind = "REJECTED" ->
         LET guessed == v.pg[m][p].target # v.pg[m][p].home
             u == [v EXCEPT !.pg[m][p].guess = 0]
         IN IF guessed THEN Event(u, m, p, "MISSED", msg) ELSE Event(Closed(u, m, p), m, p, "REJECTED", msg)
    [] msg.kind = "ORDERED" -> OrderCame(v, m, p, msg)
    [] OTHER -> GotGrant(v, m, p, msg)

GuessCame(v, m, p, msg) ==
  LET P == v.pg[m][p]
      writes == msg.right = "M"
      mayGive == P.tenure # 0 /\ (P.state \in {"EXCLUSIVE", "MODIFIED"} \/ (P.state = "OWNED" /\ P.dirty /\ ~writes))
  IN IF msg.from \in v.dead[m] \/ ~mayGive THEN v
     ELSE Event([v EXCEPT !.pg[m][p].readers = @ \union {msg.from},
                          !.pg[m][p].peers[msg.from] = [@ EXCEPT !.reader = msg.tx,
                                                                 !.guessed = IF writes THEN "write" ELSE "read"]],
                m, p, IF writes THEN "GUESSED_WRITE" ELSE "GUESSED", msg)

OfferOf(P, msg) == P.offered # "" /\ P.earlyTo = msg.from /\ P.earlyTx = msg.tx
Receive(v, m, p, msg) ==
  LET r == msg.requester IN
  CASE msg.kind \in {"GET_READ", "GET_WRITE", "CLEAN", "LOSS", "SURRENDER", "GET_OPERATE"} ->
         DirectoryMessage(v, m, p, msg)
    [] msg.kind = "EXECUTE" ->
         IF r \in v.dead[m] THEN v
         ELSE Event([v EXCEPT !.pg[m][p].operations = @ \union {r},
                              !.pg[m][p].peers[r].operation = msg.tx], m, p, "EXECUTE", msg)
    [] msg.kind \in {"GRANT", "OPERATED", "REJECTED", "ACKNOWLEDGED", "FAILURE", "ORDERED"} ->
         IF v.pg[m][p].tx # 0 /\ msg.tx = v.pg[m][p].tx THEN Answered(v, m, p, msg) ELSE v
    [] msg.kind = "GUESS" -> GuessCame(v, m, p, msg)
    [] msg.kind = "EARLY" -> EarlyCame(v, m, p, msg)
    [] msg.kind = "UNTAKEN" ->
         LET P == v.pg[m][p]
             u == [v EXCEPT !.pg[m][p].offered = ""]
         IN IF ~OfferOf(P, msg) THEN v
            ELSE IF P.state \in {"OFFERED", "OFFERED_WRITE"} THEN Event(u, m, p, "UNTAKEN", msg) ELSE u
    [] msg.kind = "FORWARD_READ" ->
         LET P == v.pg[m][p] IN
         IF r \in v.dead[m] \/ P.overtaken # 0 THEN v
         ELSE IF P.earlyTo = r /\ P.earlyTx = msg.tx /\ P.tenure = msg.served
         THEN [v EXCEPT !.pg[m][p].earlyTo = 0, !.pg[m][p].earlyTx = 0]
         ELSE Event([v EXCEPT !.pg[m][p].readers = @ \union {r},
                              !.pg[m][p].peers[r] = [@ EXCEPT !.reader = msg.tx, !.guessed = ""]],
                    m, p, "FORWARD_READ", msg)
    [] msg.kind = "FORWARD_WRITE" ->
         LET P == v.pg[m][p] IN
         IF P.overtaken # 0 THEN [v EXCEPT !.pg[m][p].overtaken = @ - 1]
         ELSE IF P.offered # "" /\ P.earlyTo = r /\ P.earlyTx = msg.tx /\ P.tenure = msg.served THEN Taken(v, m, p, msg)
         ELSE PutLater(v, m, p, msg.kind, msg)
    [] msg.kind = "INVALIDATE" -> PutLater(v, m, p, msg.kind, msg)
    [] msg.kind = "LOSS_KNOWN" -> Event(v, m, p, "FAILURE_KNOWN", msg)
    [] msg.kind = "PURGE" -> [v EXCEPT !.pg[m][p].purge = TRUE, !.pg[m][p].purgeTx = msg.tx]
    [] OTHER -> Bad(v, "a message of no kind")

(***************** What a machine says to itself, and puts off ***********)
Stable == {"SHARED", "OWNED", "EXCLUSIVE", "MODIFIED"}
Purgeable(P) ==
  \/ P.state \in Stable \union {"INVALID", "INVALID_OPERATE", "OFFERED"}
  \/ P.state \in {"INVALID_READ", "INVALID_WRITE", "SHARED_WRITE", "OWNED_WRITE", "OFFERED_WRITE"} /\ P.tx # P.purgeTx
PutOff(P) ==
  \/ P.state \in Stable /\ (P.operations # {} \/ P.later.kind # "" \/ P.readers # {})
  \/ P.purge /\ Purgeable(P)
Replay(v, m, p) ==
  LET P == v.pg[m][p] IN
  IF P.state \in Stable /\ P.operations # {} THEN Event(v, m, p, "EXECUTE", NoMessage)
  ELSE IF P.state \in Stable /\ P.later.kind # "" THEN Event(v, m, p, P.later.kind, NoMessage)
  ELSE IF P.state \in Stable /\ P.readers # {} THEN Event(v, m, p, "FORWARD_READ", NoMessage)
  ELSE Event([v EXCEPT !.pg[m][p].purge = FALSE, !.pg[m][p].cause =
                [NoCause EXCEPT !.kind = "PURGE", !.machine = P.home]], m, p, "PURGE", NoMessage)

\* Threads that wait ask for the page; an operation goes alone, when nothing of the page is here.
AskFor(w0, m, p, write) ==
  LET v == Framed(w0, m, p)
      T == Waiting(m, v, p)
      t == Min(T)
      sendable == \A x \in T : Op(m, v, x)[1] = "x" /\ ~v.th[m][x].declined
  IN IF v.ob[m][p].moving # 0 THEN v   \* asked when it has a home again
     ELSE IF sendable /\ v.pg[m][p].state = "INVALID"
     THEN Event([v EXCEPT !.th[m][t].st = "sent", !.pg[m][p].done = 0], m, p, "OPERATE", NoMessage)
     ELSE Event(v, m, p, IF write THEN "WRITE" ELSE "READ", NoMessage)
Homeless(v, m, p) == ~Moves /\ Home[p] \in v.dead[m]
AskAgain(v, m, p) ==
  LET u == [v EXCEPT !.pg[m][p].again = FALSE]
      T == Waiting(m, u, p)
  IN IF T = {} THEN u ELSE IF Homeless(v, m, p) THEN FailThreads(u, m, T)
     ELSE AskFor(u, m, p, \E x \in T : Need(Op(m, v, x)) = 2)

RECURSIVE Settle(_, _)
Settle(v, m) ==
  LET self == v.ch[m][m]
      put == {p \in Pages : PutOff(v.pg[m][p])}
      again == {p \in Pages : v.pg[m][p].again}
  IN IF v.bad # "" THEN v
     ELSE IF self # <<>>
     THEN Settle(Receive([v EXCEPT !.ch[m][m] = Tail(self)], m, Head(self).page, Head(self)), m)
     ELSE IF put # {} THEN Settle(Replay(v, m, CHOOSE p \in put : TRUE), m)
     ELSE IF again # {} THEN Settle(AskAgain(v, m, CHOOSE p \in again : TRUE), m)
     ELSE v

(******************************* Steps ***********************************)
IsMember(v, m) == Moves \/ \A x \in v.alive : m \notin v.dead[x]
MayReturn(v, m) ==
  /\ Rejoins /\ m \notin v.alive /\ m \notin v.returned /\ \A p \in Pages : Home[p] # m
  /\ \A x \in v.alive : m \in v.dead[x]

MayStart(v, m, t) == v.th[m][t].st = "ready" /\ ~Finished(m, v, t) /\ IsMember(v, m)
MayRetire(v, m, t) == ~Finished(m, v, t) /\ v.th[m][t].st = "has"
MayGo(v, m, p) == v.pg[m][p].revoking # "" /\ \A t \in DOMAIN v.th[m] : ~On(m, v, t, p, {"has"})
MayDeliver(v, x, m) == x # m /\ v.ch[x][m] # <<>> /\ x \notin v.dead[m] \union v.cut[m]
MayNotice(v, m, x) == ~Moves /\ x # m /\ x \notin v.alive /\ x \notin v.dead[m]
MayWelcome(v, m, x) == x # m /\ x \in v.alive /\ x \in v.returned /\ x \in v.dead[m]

Start(v, m, t) ==
  LET op == Op(m, v, t) IN
  IF v.th[m][t].right[op[2]] >= Need(op) THEN Retire(v, m, t)
  ELSE IF Homeless(v, m, op[2]) THEN Advance(v, m, t)
  ELSE Settle(AskFor([v EXCEPT !.th[m][t].st = "waits"], m, op[2], Need(op) = 2), m)

Gone(v, m, p) ==
  LET P == v.pg[m][p]
      left == IF P.revoking = "write" THEN 1 ELSE 0
      dirty == m # P.home /\ (P.dirty \/ P.wrote)
      u == [v EXCEPT !.pg[m][p].revoking = "", !.pg[m][p].wrote = FALSE, !.pg[m][p].dirty = dirty,
                     !.th[m] = [t \in DOMAIN @ |-> [@[t] EXCEPT !.right[p] = IF @ > left THEN left ELSE @]]]
  IN Settle(Event(u, m, p, IF dirty THEN "GONE_DIRTY" ELSE "GONE_CLEAN", NoMessage), m)

Deliver(v, x, m) ==
  LET msg == Head(v.ch[x][m])
  IN Settle(Receive([v EXCEPT !.ch[x][m] = Tail(@)], m, msg.page, msg), m)

Kill(v, m) ==
  [v EXCEPT !.alive = @ \ {m}, !.deaths = @ + 1, !.forgivable = [p \in Pages |-> @[p] + 1],
            !.th[m] = [t \in DOMAIN @ |-> [@[t] EXCEPT !.right = [p \in Pages |-> 0]]],
            !.pg[m] = [p \in Pages |-> [@[p] EXCEPT !.revoking = ""]]]

Forget(v, m, p, x) ==
  LET P == v.pg[m][p]
      \* What was ordered for who was offered the page is known here, unless its home has died as well.
      known == P.earlyTo = x /\ P.offered # "" /\ P.home \notin v.dead[m] IN
  [v EXCEPT !.pg[m][p] = [@ EXCEPT
     !.successor = IF @ = x THEN 0 ELSE @, !.earlyTx = IF P.earlyTo = x /\ P.offered = "" THEN 0 ELSE @,
     !.earlyTo = IF @ = x /\ P.offered = "" THEN 0 ELSE @, !.offered = IF known THEN "dead" ELSE @,
     !.offerView = IF known THEN v.mb[m].froze ELSE @,
     !.peers[x].guessed = "",
     !.overtaken = IF P.home = x THEN 0 ELSE @,
     !.readers = @ \ {x}, !.operations = @ \ {x}, !.guess = IF @ = x THEN 0 ELSE @, !.peers[x].reader = 0,
     !.cause.machine = IF @ = x /\ P.cause.kind # "PURGE" THEN 0 ELSE @,
     !.later.machine = IF @ = x THEN 0 ELSE @]]

RECURSIVE FailOver(_, _, _, _, _)
FailOver(v, m, p, x, S) ==  \* those whom x was to answer or to acknowledge to
  IF S = {} THEN v
  ELSE LET y == Min(S)
           k == v.pg[m][p].peers[y]
           a == IF x \in k.acks
                THEN Say([v EXCEPT !.pg[m][p].peers[y].acks = @ \ {x}], m, p, y,
                         [M("ACKNOWLEDGED") EXCEPT !.requester = x, !.tx = k.served])
                ELSE v
           shares == v.pg[m][p].directory = "CLEAN_SHARED" /\ y \in v.pg[m][p].sharers
           b == IF k.server # x THEN a
                ELSE IF shares
                THEN Say([a EXCEPT !.pg[m][p].peers[y].server = 0], m, p, y, Granting("S", TRUE, k.served, {}))
                \* Whatever it had asked for: what it is told is that the page is lost now.
                ELSE Say([a EXCEPT !.pg[m][p].peers[y].server = 0,
                                   !.pg[m][p].passed = IF a.pg[m][p].owner = x THEN @ \union {y} ELSE @], m, p, y,
                         [M("FAILURE") EXCEPT !.tx = k.served])
       IN FailOver(b, m, p, x, S \ {y})

DirectoryDeath(v, m, p, x) ==
  LET a == FailOver(v, m, p, x, Machines \ {x})
      b == [a EXCEPT !.pg[m][p].peers[x] = [@ EXCEPT !.kept = "", !.served = 0, !.server = 0, !.acks = {}],
                      !.pg[m][p].passed = @ \ {x}]
      P == b.pg[m][p]
      msg == [NoMessage EXCEPT !.from = x, !.page = p]
      last == P.owner = 0 /\ P.sharers = {x}
      c == IF x \in P.sharers THEN DirectoryEvent(b, m, p, IF last THEN "SHARERS_DIED" ELSE "SHARER_DIED", msg)
           ELSE b
  IN IF c.pg[m][p].owner = x THEN DirectoryEvent(c, m, p, "OWNER_DIED", msg)
     ELSE IF c.pg[m][p].directory = "RECOVERING" THEN Surrendered(c, m, p, msg) ELSE c

PeerDied(v, m, p, x) ==
  LET a == Forget(v, m, p, x)
      operating == v.pg[m][p].state = "INVALID_OPERATE" /\ v.pg[m][p].target = x
      b == IF a.pg[m][p].state = "COLLECTING" /\ Collected(a, m, p)
           THEN Event(Closed(TenureBegins(a, m, p), m, p), m, p, "LAST_ACKNOWLEDGED", NoMessage) ELSE a
      c == IF operating THEN Event(b, m, p, "FAILURE", NoMessage) ELSE b
      home == v.pg[m][p].home
  IN IF x = home THEN Event(Closed(a, m, p), m, p, "HOME_DIED", NoMessage)
     ELSE IF m = home THEN DirectoryDeath(c, m, p, x) ELSE c

RECURSIVE NoticeEach(_, _, _, _)
NoticeEach(v, m, x, S) ==
  IF S = {} THEN v
  ELSE LET p == CHOOSE p \in S : TRUE IN NoticeEach(Settle(PeerDied(v, m, p, x), m), m, x, S \ {p})
Notice(v, m, x) == NoticeEach([v EXCEPT !.dead[m] = @ \union {x}], m, x, Pages)

Return(v, m) ==
  [v EXCEPT
     !.alive = @ \union {m}, !.returned = @ \union {m}, !.last[m] = 1000,
     !.dead[m] = Machines \ (v.alive \union {m}),
     !.ch = [x \in Machines |-> [y \in Machines |-> IF x = m \/ y = m THEN <<>> ELSE @[x][y]]],
     !.pg[m] = [p \in Pages |-> NewPage(m, p)],
     !.th[m] = [t \in DOMAIN @ |-> [at |-> IF @[t].st = "ready" THEN @[t].at ELSE @[t].at + 1,
                                    st |-> "ready", declined |-> FALSE, right |-> [p \in Pages |-> 0]]]]

Welcome(v, m, x) == [v EXCEPT !.dead[m] = @ \ {x}]

Init == w = First
Next ==
  \E m \in w.alive :
    \/ \E t \in DOMAIN w.th[m] : MayStart(w, m, t) /\ w' = Start(w, m, t)
    \/ \E t \in DOMAIN w.th[m] : MayRetire(w, m, t) /\ w' = Retire(w, m, t)
    \/ \E p \in Pages : MayGo(w, m, p) /\ w' = Gone(w, m, p)
    \/ \E x \in Machines : MayDeliver(w, x, m) /\ w' = Deliver(w, x, m)
    \/ \E x \in Machines : MayNotice(w, m, x) /\ w' = Notice(w, m, x)
    \/ \E x \in Machines : MayWelcome(w, m, x) /\ w' = Welcome(w, m, x)
    \/ w.deaths < Deaths /\ w' = Kill(w, m)
NextReturn == \E m \in Machines \ w.alive : MayReturn(w, m) /\ w' = Return(w, m)
Spec == Init /\ [][Next \/ NextReturn]_w

(*************************** What must hold ******************************)
Right(m, p) == IF w.th[m] = <<>> THEN 0 ELSE Max({w.th[m][t].right[p] : t \in DOMAIN w.th[m]})
Users(p) == IF Moves \/ Home[p] \in w.alive THEN {m \in w.alive : Right(m, p) > 0} ELSE {}

Legal == w.bad = ""
OneWriter == \A p \in Pages : \A m \in Users(p) : Right(m, p) = 2 => Users(p) = {m}
Same == \A p \in Pages : \A m, x \in Users(p) : w.pg[m][p].frame = w.pg[x][p].frame
Newest == w.deaths = 0 => \A p \in Pages : \A m \in Users(p) : w.pg[m][p].frame = w.latest[p]
Quiet ==
  /\ \A m \in w.alive :
       /\ \A t \in DOMAIN w.th[m] : ~MayStart(w, m, t) /\ ~MayRetire(w, m, t)
       /\ \A p \in Pages : ~MayGo(w, m, p)
       /\ \A x \in Machines : ~MayDeliver(w, x, m) /\ ~MayNotice(w, m, x) /\ ~MayWelcome(w, m, x)
  /\ \A m \in Machines \ w.alive : ~MayReturn(w, m)

\* Of a page at home at h, nothing being under way: who has a copy is known to have one, one machine at the most answers for the page, and it
\* is the one that the directory names; where none does, the home has the newest bytes.
Agrees(h, p) ==
  LET D == w.pg[h][p]
      State(m) == w.pg[m][p].state
      Answers(m) == State(m) \in {"OWNED", "EXCLUSIVE", "MODIFIED", "OFFERED"}
      \* Who owned it is not told when the home has received a copy, and with it answers for the page.
      Copies(m) == State(m) = "SHARED" \/ (State(m) \in {"OWNED", "OFFERED"} /\ D.directory = "CLEAN_SHARED")
      Owns(m) == D.directory = "HELD" /\ D.owner = m
  IN /\ \A m \in w.alive : /\ Copies(m) => m \in D.sharers \/ Owns(m)
                           /\ Answers(m) /\ ~Copies(m) => Owns(m)
                           /\ Owns(m) => Answers(m)
     /\ D.directory = "CLEAN_SHARED" /\ w.deaths = 0 => D.frame = w.latest[p]
\* No message is on its way, nobody lets go of a page, and all know who has died.
Still ==
  /\ \A m, x \in Machines : w.ch[x][m] = <<>>
  /\ \A m \in w.alive : /\ \A p \in Pages : w.pg[m][p].revoking = ""
                          /\ \A x \in Machines : ~MayNotice(w, m, x)
Agreement == Still => \A p \in Pages : Home[p] \in w.alive => Agrees(Home[p], p)
NobodyWaits == Quiet => \A m \in w.alive : \A t \in DOMAIN w.th[m] : Finished(m, w, t)
=============================================================================
