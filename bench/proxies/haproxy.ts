/** HAProxy with one thread, and connections to the app that are kept alive and shared. */
export function haproxyConfiguration(port: number, appPort: number): string {
  return `
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  http-reuse always
frontend previews
  bind 127.0.0.1:${port}
  default_backend app
backend app
  server app 127.0.0.1:${appPort}
`;
}
