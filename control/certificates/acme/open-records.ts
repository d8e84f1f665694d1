import type { DnsConfig } from "./acme-config.ts";
import { AcmeDns, type AcmeDnsAccountStore } from "./acme-dns.ts";
import type { ChallengeRecords } from "./challenge-records.ts";
import { DnsUpdate } from "./dns-update.ts";
import { ExecHook } from "./exec-hook.ts";
import type { NameServers } from "./name-servers.ts";

/** The way that the operator chose. */
export function openRecords(dns: DnsConfig, nameServers: NameServers, store: AcmeDnsAccountStore): ChallengeRecords {
  switch (dns.method) {
    case "exec":
      return new ExecHook(dns.program, dns.environment);
    case "rfc2136":
      return new DnsUpdate(dns.server, dns.key, nameServers);
    case "acme-dns":
      return new AcmeDns(dns.url, dns.account, store);
    default: {
      const never: never = dns;
      throw new Error(`Unknown method ${JSON.stringify(never)}`);
    }
  }
}
