import type { Test } from "tap";
import { appBody, startControl } from "./control.ts";
import { claimsFor, hmacToken } from "./tokens.ts";

const variables = {
  PREVIEW_DOMAIN: "example.com",
  PREVIEW_SCHEME: "https",
  SANDBOXD_PREVIEW_TOKEN_SECRETS: "main=integrator-secret",
};
const edge = { host: "api.preview.example.com", "x-forwarded-for": "203.0.113.7" };

export const sign = (id: string, more: object = {}) => hmacToken("main", "integrator-secret", claimsFor(id, more));

/** A control with one private sandbox, and visitors who come to the API host for it. */
export async function startPrivateSandbox(t: Test, more: Readonly<Record<string, string>> = {}, body: object = {}) {
  const control = await startControl(t, { ...variables, ...more });
  const made = { ...appBody, visibility: "private", ...body };
  const id = (await control.call("POST", "/v1/sandboxes", { body: made })).body.id as string;
  const host = `s-${id.toLowerCase()}-3000.preview.example.com`;
  return {
    ...{ control, id, host },
    land: (query: Readonly<Record<string, string>>) =>
      control.callSocket("GET", `/preview-auth?${new URLSearchParams(query)}`, { headers: edge }),
    /** As Traefik's forwardAuth middleware asks. */
    ask: (headers: Readonly<Record<string, string>> = {}) =>
      control.call("GET", "/forward-auth", { headers: { ...edge, "x-forwarded-host": host, ...headers } }),
    /** The token of a new share. */
    async share(limits: object = {}): Promise<string> {
      const { url } = (await control.call("POST", `/v1/sandboxes/${id}/shares`, { body: limits })).body;
      return new URL(url).searchParams.get("preview_token")!;
    },
    /** How often the newest share was used. */
    uses: async () => (await control.call("GET", `/v1/sandboxes/${id}/shares`)).body.items[0].uses as number,
  };
}
