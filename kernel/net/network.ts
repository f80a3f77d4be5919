// The network from the device up, and what lives on it: the cluster.
import { pagesStart } from "../coherence/pages";
import { truncationStart } from "../coherence/truncation";
import { criticalEnter, criticalExit } from "../lwkt/critical";
import { spreadStart } from "../process/spread";
import { clusterStart } from "../syslink/cluster";

/** Called by main.ts after pci, on core 0. With nodes=1 the machine is a cluster of one and needs no card. */
export function networkStart(): void {
  // The service thread that clusterStart() makes preempts at once, and peers may have sent already: not before all
  // that serves their messages is there.
  criticalEnter();
  clusterStart();
  pagesStart();
  truncationStart();
  spreadStart();
  criticalExit();
}
