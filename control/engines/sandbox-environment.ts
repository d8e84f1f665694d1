/**
 * What a sandbox finds in its environment: its own variables, then where its ports really are, which nothing overrides:
 * `PORT` for the first one, `PORT_<declared>` for each, and `HOST` to bind them to.
 */
export function sandboxEnvironment(
  env: Readonly<Record<string, string>>,
  ports: readonly { readonly port: number; readonly upstreamPort: number }[],
  host: string,
): Record<string, string> {
  const named = ports.map(({ port, upstreamPort }) => [`PORT_${port}`, String(upstreamPort)]);
  return { ...env, PORT: String(ports[0]?.upstreamPort ?? ""), ...Object.fromEntries(named), HOST: host };
}
