import type { InstalledProject } from "./projects.ts";

/** A development server as its users run it, and what they have to say to it under `host_policy: "preserve"`. */
export type DevServer = {
  readonly project: InstalledProject;
  /** Run by a shell in the sandbox, which says where to listen in HOST and PORT. */
  readonly command: string;
  /** The source file that has the page's heading. */
  readonly file: string;
  /** Whether it misses what is saved in the moment after a page has connected, without a sign that this is over. */
  readonly listensLate?: true;
  /** What it refuses when `Host` and `Origin` are the public ones, and with which words. */
  readonly refuses: { readonly path: string; readonly says: RegExp };
  /** The setting by which it accepts every preview host of a domain. */
  readonly setting: { readonly file: string; readonly before: string; readonly after: (domain: string) => string };
};

export const vite: DevServer = {
  project: "vite",
  command: "node_modules/.bin/vite --host $HOST --port $PORT --strictPort",
  file: "src/App.jsx",
  refuses: {
    path: "/",
    says: /^Blocked request\. This host \("s-[0-9a-z]{26}-3000\.preview\.[^"]+"\) is not allowed\./,
  },
  setting: {
    file: "vite.config.js",
    before: "plugins: [react()],",
    after: (domain) => `plugins: [react()], server: { allowedHosts: [".preview.${domain}"] },`,
  },
};

export const next: DevServer = {
  project: "next",
  command: "node_modules/.bin/next dev --hostname $HOST --port $PORT",
  file: "app/page.jsx",
  // "Baseline capture and subscription setup are not atomic", it says of itself (hot-reloader-turbopack.js).
  listensLate: true,
  // Pages are for everybody; what it serves for its own use is not.
  refuses: { path: "/__nextjs_font/geist-latin.woff2", says: /^Unauthorized$/ },
  setting: {
    file: "next.config.mjs",
    before: "nextConfig = {};",
    after: (domain) => `nextConfig = { allowedDevOrigins: ["*.preview.${domain}"] };`,
  },
};

export const webpack: DevServer = {
  project: "webpack",
  // Its page would look for its socket where the server listens, inside the sandbox.
  command: "node_modules/.bin/webpack serve --host $HOST --port $PORT --client-web-socket-url auto://0.0.0.0:0/ws",
  file: "src/title.js",
  refuses: { path: "/", says: /^Invalid Host header$/ },
  setting: {
    file: "webpack.config.js",
    before: 'mode: "development",',
    after: (domain) => `mode: "development", devServer: { allowedHosts: [".preview.${domain}"] },`,
  },
};
