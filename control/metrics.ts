import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { type SandboxStatus, sandboxStatuses } from "#contract/gateway-api.ts";
import type { BackupStatus } from "./backups/backups.ts";
import type { CertificateStatus } from "./certificates/edge.ts";
import type { EgressStatus } from "./egress/egress.ts";
import { type WakeTimes, wakeWaits } from "./sandboxes/wake-times.ts";

/** What control counts, in a registry of its own. */
export class Metrics {
  readonly registry = new Registry();
  readonly #registers = [this.registry];
  readonly #wakes = new Counter({
    name: "sandboxd_wakes_total",
    help: "Wakes by how they ended",
    labelNames: ["outcome"],
    registers: this.#registers,
  });
  readonly #wakeSeconds = new Histogram({
    name: "sandboxd_wake_duration_seconds",
    help: "From the call to a running sandbox",
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: this.#registers,
  });
  readonly #wakeWaitSeconds = new Histogram({
    name: "sandboxd_wake_wait_seconds",
    help: "Of wakes that succeeded: how long they waited for their lock, for room on the machine, for the engine to prepare them and to start them",
    labelNames: ["wait"],
    buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60],
    registers: this.#registers,
  });
  readonly #stops = new Counter({
    name: "sandboxd_stops_total",
    help: "Sandboxes that went to sleep, by why",
    labelNames: ["cause"],
    registers: this.#registers,
  });
  readonly #memoryStops = new Counter({
    name: "sandboxd_stops_for_memory_total",
    help: "Sandboxes stopped because memory was low, by how low",
    labelNames: ["band"],
    registers: this.#registers,
  });
  readonly #cancelledStops = new Counter({
    name: "sandboxd_stops_cancelled_total",
    help: "Idle stops that gave way to activity behind the fence",
    registers: this.#registers,
  });
  readonly #requests = new Counter({
    name: "sandboxd_http_requests_total",
    help: "Calls of the API",
    labelNames: ["method", "route", "status"],
    registers: this.#registers,
  });
  readonly #transactions = new Counter({
    name: "sandboxd_sqlite_transactions_total",
    help: "Transactions that wrote",
    registers: this.#registers,
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  woke(outcome: string, durationMs: number, times: WakeTimes): void {
    this.#wakes.inc({ outcome });
    if (outcome !== "ready") return;
    this.#wakeSeconds.observe(durationMs / 1000);
    for (const wait of wakeWaits) this.#wakeWaitSeconds.observe({ wait }, times.spent(wait) / 1000);
  }

  stopped(cause: string): void {
    this.#stops.inc({ cause });
  }

  stoppedForMemory(band: string): void {
    this.#memoryStops.inc({ band });
  }

  stopCancelled(): void {
    this.#cancelledStops.inc();
  }

  answered(method: string, route: string, status: number): void {
    this.#requests.inc({ method, route, status });
  }

  wroteTransaction(): void {
    this.#transactions.inc();
  }

  /** Has the gauges of memory and of the queue for it read them when they are asked for; undefined is not shown. */
  watchAdmission(read: () => { readonly availablePercent: number | undefined; readonly queued: number }): void {
    new Gauge({
      name: "sandboxd_memory_available_percent",
      help: "Available memory of this machine",
      registers: this.#registers,
      collect() {
        const { availablePercent } = read();
        if (availablePercent !== undefined) this.set(availablePercent);
      },
    });
    new Gauge({
      name: "sandboxd_queued_starts",
      help: "Sandboxes that wait for memory or a free place to start",
      registers: this.#registers,
      collect() {
        this.set(read().queued);
      },
    });
  }

  /** Has the gauges of the certificate and of Traefik's files read them when they are asked for; what is unknown is not shown. */
  watchCertificate(read: () => CertificateStatus): void {
    const gauge = (name: string, help: string, value: (status: CertificateStatus & { tls: true }) => unknown) => {
      new Gauge({
        name,
        help,
        registers: this.#registers,
        collect() {
          const status = read();
          const shown = status.tls ? value(status) : null;
          if (shown === null || shown === undefined) this.remove();
          else this.set(Number(shown));
        },
      });
    };
    const seconds = (time: Date | null | undefined) => (time ? time.getTime() / 1000 : null);
    gauge("sandboxd_certificate_not_after_seconds", "When the certificate in use ends, as a Unix time", (status) =>
      seconds(status.certificate?.notAfter),
    );
    gauge("sandboxd_certificate_next_renewal_seconds", "When the next one is due, as a Unix time", (status) =>
      seconds(status.nextRenewalAt),
    );
    gauge(
      "sandboxd_certificate_failed",
      "1 when the last attempt to replace the certificate failed",
      (status) => status.lastError !== null,
    );
    gauge("sandboxd_certificate_served", "1 when Traefik serves the certificate in use", (status) => status.served);
    new Gauge({
      name: "sandboxd_traefik_bad_file",
      help: "Files that keep Traefik from taking changes, or get in the way of control's own",
      labelNames: ["file"],
      registers: this.#registers,
      collect() {
        this.reset();
        for (const { file } of read().files) this.set({ file }, 1);
      },
    });
  }

  /** Has what is told of the egress rules read them when it is asked for; nothing while they are off. */
  watchEgress(read: () => EgressStatus): void {
    const tell = (name: string, help: string, tell: (gauge: Gauge<"reason">, status: EgressStatus) => void) => {
      new Gauge({
        name,
        help,
        labelNames: ["reason"],
        registers: this.#registers,
        collect() {
          const status = read();
          this.reset();
          if (status.mode !== "off") tell(this, status);
        },
      });
    };
    tell("sandboxd_egress_installed", "1 when the egress rules are in force", (gauge, { installed }) =>
      gauge.set(Number(installed)),
    );
    tell(
      "sandboxd_egress_reinstalls",
      "How often egress rules that somebody took away were installed anew",
      (gauge, all) => gauge.set(all.reinstalls),
    );
    tell(
      "sandboxd_egress_blocked_packets",
      "Packets of sandboxes that were dropped, or would be, by reason",
      (gauge, all) => {
        for (const [reason, count] of Object.entries(all.blocked)) gauge.set({ reason }, count);
      },
    );
  }

  /** Has the gauges of backups read them when they are asked for; without one there is nothing to show of it. */
  watchBackups(read: () => BackupStatus): void {
    const gauge = (name: string, help: string, value: (status: BackupStatus) => number | undefined) => {
      new Gauge({
        name,
        help,
        registers: this.#registers,
        collect() {
          const shown = value(read());
          if (shown === undefined) this.remove();
          else this.set(shown);
        },
      });
    };
    gauge("sandboxd_backup_last_seconds", "When the last backup was begun, as a Unix time", ({ last }) =>
      last === null ? undefined : last.createdAt / 1000,
    );
    gauge("sandboxd_backup_last_bytes", "What the last backup occupies", ({ last }) => last?.sizeBytes);
    gauge(
      "sandboxd_backup_last_failed_workspaces",
      "How many workspaces are missing in it",
      ({ last }) => last?.failed.length,
    );
    gauge("sandboxd_backup_failed", "1 when the last attempt to make a backup failed", ({ lastError }) =>
      Number(lastError !== null),
    );
  }

  /** Has the gauge of sandboxes read a count when it is asked for. */
  countSandboxes(count: () => ReadonlyMap<SandboxStatus, number>): void {
    new Gauge({
      name: "sandboxd_sandboxes",
      help: "Sandboxes by status",
      labelNames: ["status"],
      registers: this.#registers,
      collect() {
        const counts = count();
        for (const status of sandboxStatuses) this.set({ status }, counts.get(status) ?? 0);
      },
    });
  }
}
