------------------------------- MODULE Move -------------------------------
(***************************************************************************)
(* The home's role moves when its machine dies (R8): what members.ts,      *)
(* homes.ts and takeover.ts of the kernel do, written a second time, around *)
(* the page protocol of Coherence.tla with Moves = TRUE.                    *)
(*                                                                          *)
(* Membership is a sequence of views, on which membership.ts agrees (it has *)
(* tests of its own): one without a machine follows when it has died.  All  *)
(* members go through the phases of a view: 0 flushed, 1 frozen, 2 handed   *)
(* in, 3 rebuilt; each begins when all have said, behind everything that    *)
(* they said before, that they ended the one before; 4: said before 0, that *)
(* the view interrupts a move.  Machines do not come back here.              *)
(*                                                                          *)
(* Or a machine leaves: its threads end, a view follows in which it is the   *)
(* home of nothing, by that it gives all that it has alone, and when all    *)
(* have rebuilt says so (5); the next view is without it.                    *)
(***************************************************************************)
EXTENDS Coherence

Members(v, m) == v.views[v.mb[m].view]
Leaving(v, m) == v.leaving[v.mb[m].view]
AllEnded(v, m, f) == \A x \in Members(v, m) \ {m} : v.mb[m].marks[f][x] >= v.mb[m].view

Tell(v, m, to, msg) == [v EXCEPT !.ch[m][to] = Append(@, [msg EXCEPT !.from = m])]
RECURSIVE TellEach(_, _, _, _)
TellEach(v, m, msg, S) ==
  IF S = {} THEN v ELSE LET x == Min(S) IN TellEach(Tell(v, m, x, msg), m, msg, S \ {x})

\* Of a mark: `requester` is the phase, `tx` the view.  Of a report: `requester` is what there is.
TellMark(v, m, f) == TellEach(v, m, [M("MARK") EXCEPT !.requester = f, !.tx = v.mb[m].view], Members(v, m) \ {m})
Mark(v, m, f) == TellMark([v EXCEPT !.mb[m].phase = f], m, f)

InterruptedBy(v, m, S) == \E x \in S : v.mb[m].marks[4][x] >= v.mb[m].view
Settled(v, m) ==
  LET u == [v EXCEPT !.mb[m].moves = FALSE, !.mb[m].doubts = FALSE]
  IN IF v.mb[m].phase # 3 \/ ~AllEnded(v, m, 3) THEN v
     ELSE IF m \in Leaving(v, m) THEN Mark([u EXCEPT !.mb[m].handedIn = TRUE], m, 5) ELSE u

Last(v) == v.views[Len(v.views)]
LastLeaving(v) == v.leaving[Len(v.leaving)]
Exclude(v, m) ==
  [v EXCEPT !.views = Append(@, Last(v) \ {m}), !.leaving = Append(@, LastLeaving(v) \ {m}), !.alive = @ \ {m}]
Leave(v, m) ==
  [v EXCEPT !.views = Append(@, Last(v)), !.leaving = Append(@, LastLeaving(v) \union {m}),
            !.th[m] = [t \in DOMAIN @ |-> [at |-> Len(Programs[m][t]) + 1, st |-> "ready", declined |-> FALSE,
                                           right |-> [p \in Pages |-> 0]]]]

Install(v, m) ==
  LET gone == Members(v, m) \ v.views[Len(v.views)]
      u == [v EXCEPT !.mb[m].view = Len(v.views), !.mb[m].dying = @ \union gone, !.cut[m] = @ \union gone]
  IN Mark(IF v.mb[m].moves THEN TellMark([u EXCEPT !.mb[m].marks[4][m] = Len(v.views)], m, 4) ELSE u, m, 0)

(***************************** Freezing **********************************)
DiedOf(v, m, p, x) ==
  LET P == v.pg[m][p]
      \* Its home: if who was offered the page has died by the same view, what he was ordered may not have come here.
      doubted == ~P.frozen /\ P.home = x /\ P.offered = "dead" /\ P.offerView = v.mb[m].froze
      u == IF doubted THEN [v EXCEPT !.pg[m][p].offered = "open"] ELSE v IN
  IF P.frozen \/ v.ob[m][p].home = x
  THEN IF P.state = "INVALID_OPERATE" /\ P.target = x THEN [u EXCEPT !.pg[m][p].tx = 0] ELSE u
  ELSE Settle(PeerDied(v, m, p, x), m)
RECURSIVE DiedEach(_, _, _, _)
DiedEach(v, m, x, S) ==
  IF S = {} THEN v ELSE LET p == CHOOSE p \in S : TRUE IN DiedEach(DiedOf(v, m, p, x), m, x, S \ {p})
Died(v, m, x) ==
  DiedEach([v EXCEPT !.mb[m].dying = @ \ {x}, !.mb[m].doubts = @ \/ x \notin v.mb[m].left, !.dead[m] = @ \union {x},
                     !.ob[m] = [p \in Pages |->
                        [@[p] EXCEPT !.ours = @ /\ x \notin v.ob[m][p].handed,
                                     !.lossy = @ \/ (x \in v.ob[m][p].gave /\ x \notin v.mb[m].left),
                                     !.moving = IF v.ob[m][p].home = x /\ @ = 0 THEN 1 ELSE @]]], m, x, Pages)
RECURSIVE AllDied(_, _, _)
AllDied(v, m, S) == IF S = {} THEN v ELSE LET x == Min(S) IN AllDied(Died(v, m, x), m, S \ {x})

HomeOf(v, m, p) ==
  LET stay == Members(v, m) \ Leaving(v, m)
      homes == IF stay = {} THEN Members(v, m) ELSE stay
  IN IF Home[p] \in homes THEN Home[p] ELSE Min(homes)

\* The state that a machine is in when nobody owes it anything.
Standing(state) ==
  CASE state = "INVALID_OPERATE" -> "INVALID_OPERATE"
    [] state \in {"OWNED", "OWNED_WRITE", "OWNED_LEAVING", "OWNED_WRITE_LEAVING", "OFFERED", "OFFERED_WRITE"} -> "OWNED"
    [] state \in {"COLLECTING", "SHARED", "SHARED_WRITE", "SHARED_LEAVING", "SHARED_WRITE_LEAVING",
                  "FAILED_SHARED", "FAILED_LEAVING"} -> "SHARED"
    [] state \in {"EXCLUSIVE", "MODIFIED", "LOWERING", "OFFERING", "LEAVING"} -> "MODIFIED"
    [] OTHER -> "INVALID"

\* Of a frozen page: what is here, whatever operation of this machine's is open.
Has(P) == IF P.state = "INVALID_OPERATE" THEN P.beneath ELSE P.state
PutHas(P, state) == IF P.state = "INVALID_OPERATE" THEN [P EXCEPT !.beneath = state] ELSE [P EXCEPT !.state = state]

\* Whether the writer that the page was offered to has it nobody knows here.
OfferOpen(P) ==
  P.offered = "open" /\ (P.state \in {"OFFERED", "OFFERED_WRITE"} \/ Standing(P.state) \in {"INVALID", "INVALID_OPERATE"})
\* It has come to nothing, or other bytes are here in its place.
OfferForgotten(P) ==
  IF Has(P) # "OFFERED" THEN P
  ELSE [PutHas(P, "INVALID") EXCEPT !.early = "", !.earlyServed = 0, !.tenure = 0, !.earlyTo = 0, !.earlyTx = 0, !.offered = ""]

\* `stored`: this machine was the home, and has the backing store.
Stands(P, stored) ==
  LET clean == stored /\ P.directory = "CLEAN_SHARED"
      doubtful == P.state \in {"COLLECTING", "FAILED_SHARED", "FAILED_LEAVING"}
      S == [P EXCEPT !.state = Standing(P.state), !.beneath = "INVALID"]
      Q == [IF OfferOpen(P) THEN PutHas(S, "OFFERED") ELSE S EXCEPT
                     !.asked = IF Guesses /\ P.state = "INVALID_WRITE" THEN P.tx ELSE 0,
                     !.sole = Leaves > 0 /\ (clean \/ P.purge \/ doubtful)]
      alone == stored /\ (P.directory = "UNUSED" \/ (P.directory = "RECOVERING" /\ P.found))
  IN IF alone \/ P.left THEN IF Has(Q) \in {"INVALID", "SHARED"} THEN PutHas(Q, "OWNED") ELSE Q
     ELSE IF clean /\ Has(Q) = "INVALID" THEN PutHas(Q, "SHARED") ELSE Q

\* A revocation that had begun is over and leaves the page here; threads fault again.
EndRevocation(v, m, p) ==
  IF v.pg[m][p].revoking = "" THEN v
  ELSE [v EXCEPT !.pg[m][p].revoking = "",
                 !.th[m] = [t \in DOMAIN @ |->
                    [@[t] EXCEPT !.right[p] = 0, !.st = IF On(m, v, t, p, {"has"}) THEN "waits" ELSE @]]]

\* As far as the home knows the page is lost, and nobody was told.
Untold(P) == P.directory = "LOST" \/ (P.directory = "RECOVERING" /\ ~P.found /\ ~P.told)

FreezePage(v, m, p, stored) ==
  LET a == AnswerOperations(EndRevocation(v, m, p), m, p, "REJECTED")
      P == a.pg[m][p]
      R == IF P.frozen THEN P ELSE Stands(P, stored /\ P.framed)
      Q == IF Has(R) = "OFFERED" THEN R
           ELSE [R EXCEPT !.tenure = 0, !.earlyTo = 0, !.earlyTx = 0, !.offered = ""]
  IN [a EXCEPT !.pg[m][p] = [Q EXCEPT
        !.frozen = TRUE, !.unanswered = Q.state = "INVALID_OPERATE",
        !.away = IF P.frozen THEN @ ELSE IF P.directory = "HELD" THEN P.owner ELSE 0,
        !.untold = IF stored THEN Untold(P) ELSE @,
        !.reverts = IF stored THEN P.directory = "RECOVERING" /\ ~Untold(P) ELSE @,
        !.readers = {}, !.later.kind = "", !.later.machine = 0, !.cause.kind = "", !.cause.machine = 0,
        !.successor = 0, !.overtaken = 0, !.claimed = FALSE,
        !.purge = FALSE, !.left = FALSE, !.guess = 0, !.directory = "UNUSED", !.owner = 0, !.sharers = {},
        !.awaited = {}, !.found = FALSE, !.told = FALSE]]

FreezeObject(v, m, p) ==
  LET here == v.ob[m][p]
      home == HomeOf(v, m, p)
      stored == here.home = m /\ here.moving = 0
      all == InterruptedBy(v, m, Members(v, m)) \/ Leaving(v, m) # {}
  IN IF home = here.home /\ here.moving = 0 /\ ~all THEN v
     ELSE FreezePage([v EXCEPT !.ob[m][p] =
                        [@ EXCEPT !.ours = @ \/ stored, !.complete = here.ours \/ stored, !.moving = 1, !.home = home,
                                  !.handed = IF stored THEN {} ELSE @, !.gave = IF stored THEN {} ELSE @]],
                     m, p, stored)
RECURSIVE FreezeEach(_, _, _)
FreezeEach(v, m, S) ==
  IF S = {} THEN v ELSE LET p == CHOOSE p \in S : TRUE IN FreezeEach(FreezeObject(v, m, p), m, S \ {p})
Freeze(v, m) ==
  LET u == AllDied(v, m, v.mb[m].dying)
      x == [u EXCEPT !.mb[m].moves = TRUE, !.mb[m].froze = IF Guesses THEN v.mb[m].view ELSE @]
  IN Mark(FreezeEach(x, m, Pages), m, 1)

\* This machine's operation is over.
Ends(v, m, p, e, msg) ==
  LET P == v.pg[m][p]
      u == Event(Closed(v, m, p), m, p, e, msg)
  IN IF P.beneath = "INVALID" THEN u ELSE [u EXCEPT !.pg[m][p].state = P.beneath, !.pg[m][p].beneath = "INVALID"]

\* What was offered to this machine, which has heard that it is next, is a copy.
Here(P) == [P EXCEPT !.tx = 0, !.asked = 0, !.sole = Leaves > 0, !.state = "SHARED"]

\* What still comes for a frozen page.
Frozen(w0, m, p, msg) ==
  LET mine == w0.pg[m][p].tx # 0 /\ msg.tx = w0.pg[m][p].tx
      \* The right alone: the home has ordered this machine before the writer that the page was offered to.
      back == [PutHas(OfferForgotten(w0.pg[m][p]), "SHARED") EXCEPT !.sole = Leaves > 0]
      returns == ~msg.data /\ Has(w0.pg[m][p]) = "OFFERED"
      v == IF msg.kind = "GRANT" /\ mine
           THEN [w0 EXCEPT !.pg[m][p] = IF returns THEN back ELSE OfferForgotten(@)] ELSE w0
      P == v.pg[m][p]
      operates == mine /\ P.state = "INVALID_OPERATE"
      taken == Framed([v EXCEPT !.pg[m][p].frame = msg.value], m, p)
  IN CASE msg.kind = "GRANT" /\ mine ->
            IF ~msg.data /\ P.state = "INVALID" THEN Bad(v, "the right alone for who has no copy")
            ELSE [IF msg.data THEN taken ELSE v EXCEPT !.pg[m][p].tx = 0,
                    !.pg[m][p].sole = @ \/ (Leaves > 0 /\ msg.right # "S"),
                    !.pg[m][p].state = IF @ = "INVALID" THEN "SHARED" ELSE @]
       [] msg.kind = "EARLY" -> Bad(v, "bytes come early to a machine that has frozen")
       [] msg.kind = "ORDERED" /\ P.asked # 0 /\ msg.tx = P.asked ->
            IF P.early = "bytes" /\ P.earlyServed = msg.served THEN [v EXCEPT !.pg[m][p] = Here(@)]
            ELSE [v EXCEPT !.pg[m][p].early = "order", !.pg[m][p].earlyServed = msg.served]
       [] msg.kind = "UNTAKEN" /\ Has(P) = "OFFERED" /\ OfferOf(P, msg) ->
            [v EXCEPT !.pg[m][p] = PutHas(OfferForgotten(@), "OWNED")]
       [] msg.kind \in {"OPERATED", "REJECTED"} /\ operates -> Settle(Ends(v, m, p, msg.kind, msg), m)
       [] msg.kind = "EXECUTE" ->
            IF msg.requester \in v.dead[m] THEN v
            ELSE IF msg.requester = m THEN IF operates THEN Settle(Ends(v, m, p, "REJECTED", msg), m) ELSE v
            ELSE Say(v, m, p, msg.requester, [M("REJECTED") EXCEPT !.tx = msg.tx])
       [] msg.kind = "GET_OPERATE" ->
            IF msg.from \in v.dead[m] THEN v
            ELSE Say(v, m, p, msg.from, [M("REJECTED") EXCEPT !.tx = msg.tx])
       [] msg.kind = "LOSS" /\ msg.from \in P.passed -> [v EXCEPT !.pg[m][p].untold = FALSE, !.pg[m][p].reverts = TRUE]
       [] msg.kind = "PURGE" -> [v EXCEPT !.pg[m][p].sole = Leaves > 0]
       [] msg.kind = "SURRENDER" /\ msg.data /\ Has(P) = "INVALID" ->
            [taken EXCEPT !.pg[m][p] = PutHas(@, "OWNED")]
       [] OTHER -> v

(************************ Handing in, rebuilding *************************)
\* An answer is to come to an operation on a page that is here.
Awaits(v, m, p) ==
  LET P == v.pg[m][p] IN P.state = "INVALID_OPERATE" /\ P.beneath # "INVALID" /\ P.tx # 0 /\ P.target \notin v.dead[m]
AllAnswered(v, m) == v.mb[m].doubts \/ \A p \in Pages : v.ob[m][p].moving # 1 \/ ~Awaits(v, m, p)

\* Who answered for the page, as this machine knows, or as was reported, may have it, or have died with it: unless somebody was told who waited before.
ByReport == N + 1
Away(v, m, P) == P.away = ByReport \/ (P.away # 0 /\ (~P.reverts \/ P.away \in v.dead[m]))

ReportOf(v, m, P) ==
  CASE Has(P) = "MODIFIED" -> 3 [] Has(P) = "OWNED" -> 2 [] Has(P) = "SHARED" -> 1
    [] Has(P) = "OFFERED" -> 7
    [] OTHER -> IF Away(v, m, P) THEN 6 ELSE 0

Reported(v, h, p, from, report) ==
  LET P == v.pg[h][p]
      owns == report = 3 \/ (report = 2 /\ P.owner = 0)
  IN IF report = 6 THEN [v EXCEPT !.pg[h][p].away = ByReport]
     ELSE IF report \in {0, 7} \/ P.owner = from THEN v
     ELSE IF ~owns THEN [v EXCEPT !.pg[h][p].sharers = @ \union {from}]
     ELSE [v EXCEPT !.pg[h][p].sharers = @ \union ({P.owner} \ {0}), !.pg[h][p].owner = from]

\* What is said besides: the request to write that `from` had open as it froze, 0 = none; and {} or whom it has offered the page to, for which one.
Claimed(v, h, p, from, asked, to, request) ==
  LET P == v.pg[h][p]
      none == [x \in Machines |-> [P.peers[x] EXCEPT !.server = 0, !.served = 0, !.keptTx = 0]]
      Q == IF P.claimed THEN P ELSE [P EXCEPT !.claimed = TRUE, !.peers = none]
      R == IF asked = 0 THEN Q ELSE [Q EXCEPT !.peers[from].served = asked]
      T == IF to = {} THEN R ELSE [R EXCEPT !.peers[from].server = Max(to), !.peers[from].keptTx = request]
  IN IF asked = 0 /\ to = {} THEN v ELSE [v EXCEPT !.pg[h][p] = T]

\* All have handed in, and nobody has the page: who has offered it in vain has; else somebody had it who died.
Offering(P) ==
  LET offers == {x \in Machines : P.peers[x].server # 0}
      stand == {x \in offers : P.peers[P.peers[x].server].served = P.peers[x].keptTx}
  IN IF ~P.claimed \/ P.owner # 0 \/ P.sharers # {} \/ offers = {} THEN P
     ELSE [P EXCEPT !.away = ByReport, !.owner = IF stand = {} THEN 0 ELSE Min(stand)]

\* Who leaves gives it: what it alone may have goes along. `copy`: others may have it as well.
Give(v, m, p, home) ==
  LET P == v.pg[m][p]
      copy == Has(P) = "SHARED"
      offered == IF Has(P) = "OFFERED" THEN {P.earlyTo} ELSE {}
      u == [v EXCEPT !.pg[m][p] = [PutHas(OfferForgotten(P), "INVALID") EXCEPT !.wrote = FALSE]]
  IN IF copy /\ ~P.sole /\ ~v.mb[m].doubts THEN u
     ELSE Tell([u EXCEPT !.ob[m][p].gave = @ \union {home}], m, home,
               [M("GIVEN") EXCEPT !.page = p, !.copy = copy, !.value = IF P.framed THEN P.frame ELSE 1,
                                  !.acks = offered, !.tx = IF offered = {} THEN 0 ELSE P.earlyTx])

\* At the new home. All copies are equal.
Given(v, h, p, msg) ==
  LET P == [OfferForgotten(v.pg[h][p]) EXCEPT !.frame = msg.value, !.framed = TRUE, !.sole = TRUE]
      shares == [PutHas(P, "SHARED") EXCEPT !.sharers = @ \union {h}]
      owns == [PutHas(P, "OWNED") EXCEPT !.sharers = @ \ {h}, !.owner = h]
      \* What it has offered to a writer is the home's to offer; of two offers the newer one counts.
      here == v.pg[h][p]
      newer == Has(here) = "INVALID" \/ (Has(here) = "OFFERED" /\ here.frame < msg.value)
      offers == [PutHas(P, "OFFERED") EXCEPT !.sole = here.sole, !.offered = "open", !.earlyTo = Max(msg.acks), !.earlyTx = msg.tx]
  IN IF msg.acks # {}
     THEN IF newer THEN Claimed([v EXCEPT !.pg[h][p] = offers], h, p, h, 0, msg.acks, msg.tx) ELSE v
     ELSE [v EXCEPT !.pg[h][p] =
        IF P.owner = h \/ (msg.copy /\ Has(P) \notin {"INVALID", "SHARED"}) THEN P
        ELSE IF msg.copy \/ P.owner # 0 THEN shares ELSE owns]

HandInObject(v, m, p) ==
  LET here == v.ob[m][p]
      report == ReportOf(v, m, v.pg[m][p])
      P == v.pg[m][p]
      to == IF report = 7 THEN {P.earlyTo} ELSE {}
      request == IF report = 7 THEN P.earlyTx ELSE 0
      u == [v EXCEPT !.ob[m][p].moving = 2,
                     !.ob[m][p].lossy = here.lossy \/ v.pg[m][p].untold,
                     !.ob[m][p].handed = IF here.home = m THEN @ ELSE @ \union {here.home}]
      x == IF here.home = m THEN u
           ELSE Tell(u, m, here.home, [M("OBJECT") EXCEPT !.page = p, !.copy = here.ours, !.data = u.ob[m][p].lossy,
                                                        !.dirty = v.mb[m].doubts])
  IN IF here.moving # 1 THEN v
     ELSE IF report = 0 /\ P.asked = 0 THEN x
     ELSE IF here.home = m THEN Reported(Claimed(x, m, p, m, P.asked, to, request), m, p, m, report)
     ELSE IF m \in Leaving(v, m) /\ report \notin {0, 6}
     THEN LET given == Give(x, m, p, here.home)
          IN IF P.asked = 0 THEN given ELSE Tell(given, m, here.home, [M("REPORT") EXCEPT !.page = p, !.tx = P.asked])
     ELSE Tell(x, m, here.home, [M("REPORT") EXCEPT !.page = p, !.requester = report, !.tx = P.asked, !.acks = to,
                                                  !.served = request])
RECURSIVE HandInEach(_, _, _)
HandInEach(v, m, S) ==
  IF S = {} THEN v ELSE LET p == CHOOSE p \in S : TRUE IN HandInEach(HandInObject(v, m, p), m, S \ {p})
HandIn(v, m) == Mark(HandInEach(v, m, Pages), m, 2)

TellOne(v, m, to, msg) == IF to = 0 THEN v ELSE Tell(v, m, to, msg)
RebuildObject(w0, m, p) ==
  LET offering == Offering(w0.pg[m][p])
      here0 == w0.ob[m][p]
      mine == offering.owner = m /\ Has(offering) = "OFFERED"
      v == IF here0.home # m \/ here0.moving # 2 THEN w0
           ELSE [w0 EXCEPT !.pg[m][p] = IF mine THEN PutHas(OfferForgotten(offering), "OWNED") ELSE offering]
      chosen == IF w0.pg[m][p].owner = 0 THEN offering.owner ELSE 0
      P == v.pg[m][p]
      here == v.ob[m][p]
      loses == ~here.complete \/ here.lossy
      lost == loses \/ (Away(v, m, P) /\ v.mb[m].doubts)
      stale == ~here.ours /\ P.framed
      u == [v EXCEPT !.ob[m][p] = [@ EXCEPT !.lost = loses, !.complete = FALSE, !.ours = FALSE, !.lossy = FALSE, !.moving = 0,
                                         !.handed = {}, !.gave = {}],
                     !.pg[m][p].away = 0, !.pg[m][p].reverts = FALSE]
      first == Min(P.sharers)
      only == P.sharers \ {first} = {}
  IN IF v.ob[m][p].home # m \/ v.ob[m][p].moving # 2 THEN v
     \* What the home has alone it may write; what others have copies of is its backing store.
     ELSE IF P.owner = m /\ Has(P) = "OWNED" /\ P.sharers = {}
     THEN [u EXCEPT !.pg[m][p] = [PutHas(@, "MODIFIED") EXCEPT !.directory = "HELD"]]
     ELSE IF P.owner = m /\ Has(P) = "OWNED"
     THEN [u EXCEPT !.pg[m][p] = [PutHas(@, "SHARED") EXCEPT !.directory = "CLEAN_SHARED", !.owner = 0,
                                                             !.sharers = @ \union {m}]]
     ELSE IF P.owner # 0
     THEN TellOne([u EXCEPT !.pg[m][p].directory = "HELD"], m, chosen, [M("OWNER") EXCEPT !.page = p, !.copy = TRUE])
     ELSE IF m \in P.sharers THEN [u EXCEPT !.pg[m][p].directory = "CLEAN_SHARED"]
     ELSE IF P.sharers # {}
     THEN Tell([u EXCEPT !.pg[m][p].directory = "HELD", !.pg[m][p].sharers = @ \ {first},
                         !.pg[m][p].owner = first], m, first, [M("OWNER") EXCEPT !.page = p, !.copy = only])
     ELSE [u EXCEPT !.pg[m][p].directory = IF lost THEN "LOST" ELSE "UNUSED",
                    !.pg[m][p].frame = IF stale THEN 1 ELSE @]
RECURSIVE RebuildEach(_, _, _)
RebuildEach(v, m, S) ==
  IF S = {} THEN v ELSE LET p == CHOOSE p \in S : TRUE IN RebuildEach(RebuildObject(v, m, p), m, S \ {p})

\* `h` has rebuilt what was handed in to it.
ThawPage(v, m, p, h) ==
  LET P == v.pg[m][p]
      u == [v EXCEPT !.pg[m][p] = [OfferForgotten(P) EXCEPT !.frozen = FALSE, !.sole = FALSE, !.away = IF h = m THEN @ ELSE 0, !.home = h,
              !.untold = FALSE, !.reverts = @ /\ h = m, !.passed = {},
              !.asked = 0, !.claimed = FALSE, !.early = "", !.earlyServed = 0,
              !.peers = [x \in Machines |-> NoPeer], !.tx = IF P.state = "INVALID_OPERATE" THEN @ ELSE 0]]
      fails == P.state = "INVALID_OPERATE" /\ (P.tx = 0 \/ P.beneath # "INVALID" \/ P.target \in v.dead[m])
      x == IF fails THEN Ends(u, m, p, "FAILURE", NoMessage) ELSE u
  IN IF ~P.frozen THEN v
     ELSE [x EXCEPT !.pg[m][p].dirty = h # m /\ x.pg[m][p].state \in {"OWNED", "MODIFIED"}]
ThawObject(v, m, p, h) ==
  LET here == v.ob[m][p]
      u == IF here.moving = 2 /\ h # m
           THEN [v EXCEPT !.ob[m][p] = [@ EXCEPT !.moving = 0, !.complete = FALSE, !.ours = FALSE, !.lossy = FALSE,
                                                    !.handed = {}, !.gave = {}]] ELSE v
      x == ThawPage(u, m, p, h)
  IN IF here.home # h THEN v ELSE IF u.ob[m][p].moving # 0 THEN u
     ELSE Settle([x EXCEPT !.pg[m][p].again = TRUE], m)
RECURSIVE ThawEach(_, _, _, _)
ThawEach(v, m, h, S) ==
  IF S = {} THEN v ELSE LET p == CHOOSE p \in S : TRUE IN ThawEach(ThawObject(v, m, p, h), m, h, S \ {p})
Thaw(v, m, h) == ThawEach(v, m, h, Pages)
RECURSIVE ThawAll(_, _, _)
ThawAll(v, m, S) == IF S = {} THEN v ELSE LET x == Min(S) IN ThawAll(Thaw(v, m, x), m, S \ {x})

\* Operations whose answers would have come by now fail.
Unanswered(v, m, p) ==
  LET P == v.pg[m][p]
      u == [v EXCEPT !.pg[m][p].unanswered = FALSE]
      x == [u EXCEPT !.pg[m][p].tx = 0]
  IN IF ~P.unanswered \/ P.state # "INVALID_OPERATE" THEN u
     ELSE IF P.frozen THEN x ELSE Settle(Event(x, m, p, "FAILURE", NoMessage), m)
RECURSIVE UnansweredEach(_, _, _)
UnansweredEach(v, m, S) ==
  IF S = {} THEN v ELSE LET p == CHOOSE p \in S : TRUE IN UnansweredEach(Unanswered(v, m, p), m, S \ {p})

Rebuild(v, m) ==
  LET u == Mark(RebuildEach(IF v.mb[m].doubts THEN UnansweredEach(v, m, Pages) ELSE v, m, Pages), m, 3)
      told == {x \in Members(v, m) \ {m} : v.mb[m].marks[3][x] = v.mb[m].view}
  IN Settled(ThawAll(Thaw(u, m, m), m, told), m)

(******************************* Steps ***********************************)
Marked(v, m, msg) ==
  LET left == msg.requester = 5 /\ msg.tx = v.mb[m].view
      u == [v EXCEPT !.mb[m].marks[msg.requester][msg.from] = msg.tx,
                     !.mb[m].left = IF left THEN @ \union {msg.from} ELSE @]
  IN IF msg.requester = 3 /\ (msg.tx = v.mb[m].view \/ v.mb[m].phase = 0) THEN Settled(Thaw(u, m, msg.from), m)
     ELSE Settled(u, m)

Hear(v, m, msg) ==
  LET p == msg.page IN
  CASE msg.kind = "MARK" -> Marked(v, m, msg)
    [] msg.kind = "OBJECT" ->
         IF v.ob[m][p].moving = 0 THEN v
         ELSE [v EXCEPT !.ob[m][p] = [@ EXCEPT !.complete = @ \/ msg.copy, !.lossy = @ \/ msg.data],
                        !.mb[m].doubts = @ \/ msg.dirty]
    [] msg.kind = "REPORT" ->
         IF v.ob[m][p].moving = 0 THEN v
         ELSE Reported(Claimed(v, m, p, msg.from, msg.tx, msg.acks, msg.served), m, p, msg.from, msg.requester)
    [] msg.kind = "OWNER" ->
         IF v.ob[m][p].moving = 0 THEN v
         ELSE IF Has(v.pg[m][p]) \notin {"SHARED", "OWNED", "OFFERED"} THEN Bad(v, "an owner without a copy")
         ELSE [v EXCEPT !.pg[m][p] = [PutHas(OfferForgotten(@), IF msg.copy THEN "MODIFIED" ELSE "OWNED") EXCEPT !.dirty = TRUE]]
    [] msg.kind = "GIVEN" -> IF v.ob[m][p].moving = 0 THEN v ELSE Given(v, m, p, msg)
    [] OTHER -> IF v.pg[m][p].frozen THEN Frozen(v, m, p, msg) ELSE Settle(Receive(v, m, p, msg), m)

MoveDeliver(v, x, m) == Hear([v EXCEPT !.ch[x][m] = Tail(@)], m, Head(v.ch[x][m]))

HasLeft(v, m) == m \in LastLeaving(v) /\ \E x \in v.alive \intersect Last(v) : m \in v.mb[x].left
MayExclude(v, m) == m \in Last(v) /\ (m \notin v.alive \/ HasLeft(v, m))
Left(v) == UNION {v.leaving[i] : i \in DOMAIN v.leaving}
MayLeave(v, m) ==
  LET stay == (v.alive \intersect Last(v)) \ LastLeaving(v)
  IN Cardinality(Left(v)) < Leaves /\ v.mb[m].view = Len(v.views) /\ m \in stay /\ Cardinality(stay) > 1
MayInstall(v, m) == v.mb[m].view # Len(v.views)
MayFreeze(v, m) == v.mb[m].phase = 0 /\ AllEnded(v, m, 0)
MayHandIn(v, m) == v.mb[m].phase = 1 /\ AllEnded(v, m, 1) /\ AllAnswered(v, m)
MayRebuild(v, m) == v.mb[m].phase = 2 /\ AllEnded(v, m, 2)

MoveNext ==
  \/ \E m \in w.alive :
       \/ \E t \in DOMAIN w.th[m] : MayStart(w, m, t) /\ w' = Start(w, m, t)
       \/ \E t \in DOMAIN w.th[m] : MayRetire(w, m, t) /\ w' = Retire(w, m, t)
       \/ \E p \in Pages : MayGo(w, m, p) /\ w' = Gone(w, m, p)
       \/ \E x \in Machines : MayDeliver(w, x, m) /\ w' = MoveDeliver(w, x, m)
       \/ MayInstall(w, m) /\ w' = Install(w, m)
       \/ MayFreeze(w, m) /\ w' = Freeze(w, m)
       \/ MayHandIn(w, m) /\ w' = HandIn(w, m)
       \/ MayRebuild(w, m) /\ w' = Rebuild(w, m)
       \/ MayLeave(w, m) /\ w' = Leave(w, m)
       \/ w.deaths < Deaths /\ w' = Kill(w, m)
  \/ \E m \in Machines : MayExclude(w, m) /\ w' = Exclude(w, m)
MoveSpec == Init /\ [][MoveNext]_w

MoveQuiet ==
  /\ \A m \in w.alive :
       /\ \A t \in DOMAIN w.th[m] : ~MayStart(w, m, t) /\ ~MayRetire(w, m, t)
       /\ \A p \in Pages : ~MayGo(w, m, p)
       /\ \A x \in Machines : ~MayDeliver(w, x, m)
       /\ ~MayInstall(w, m) /\ ~MayFreeze(w, m) /\ ~MayHandIn(w, m) /\ ~MayRebuild(w, m)
  /\ \A m \in Machines : ~MayExclude(w, m)
\* Whom the home would ask for the page, or itself, has its newest value.
NothingIsLost ==
  MoveQuiet /\ w.deaths = 0 =>
    \A p \in Pages : \E h \in w.alive :
      LET P == w.pg[h][p]
          holder == IF P.directory = "HELD" THEN P.owner ELSE h
      IN w.ob[h][p].home = h /\ w.ob[h][p].moving = 0 /\ w.pg[holder][p].frame = w.latest[p]
\* A page that nobody has used since its home died is at home nowhere.
AgreementWithHomes ==
  MoveQuiet => \A p \in Pages : \A h \in w.alive \intersect Last(w) :
    w.ob[h][p].home = h /\ w.ob[h][p].moving = 0 => Agrees(h, p)
NobodyWaitsForHomes == MoveQuiet => \A m \in w.alive : \A t \in DOMAIN w.th[m] : Finished(m, w, t)
=============================================================================
