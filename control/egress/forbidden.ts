/** Why a packet of a sandbox was dropped, or would have been. */
export const reasons = ["metadata", "host", "sandbox", "abuse", "private", "smtp", "flood"] as const;
export type Reason = (typeof reasons)[number];

export type Counts = Readonly<Record<Reason, number>>;

/** Where clouds hand out credentials to whoever asks: link-local, and what some of them use besides. */
export const metadataNetworks: readonly string[] = [
  "169.254.0.0/16",
  "100.100.100.200",
  "168.63.129.16",
  "192.0.0.192",
  "fd00:ec2::254",
  "fd20:ce::254",
  "64:ff9b::169.254.0.0/112",
];

/** RFC 6890 and what else is nobody's public address; mapped and translated forms of them in IPv6 too. */
export const privateNetworks: readonly string[] = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "224.0.0.0/3",
  "::/96",
  "::ffff:0:0/96",
  "64:ff9b::10.0.0.0/104",
  "64:ff9b::100.64.0.0/106",
  "64:ff9b::127.0.0.0/104",
  "64:ff9b::172.16.0.0/108",
  "64:ff9b::192.168.0.0/112",
  "64:ff9b:1::/48",
  "fc00::/7",
  "fe80::/10",
  "fec0::/10",
  "ff00::/8",
];

export const mailPorts: readonly number[] = [25, 465, 587];
