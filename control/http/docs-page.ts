import swaggerUi from "@fastify/swagger-ui";
import type { ApiServer } from "./server.ts";

/** What the page may load: nothing of anybody else's, and nobody may frame it. */
const contentSecurityPolicy = {
  "default-src": "'self'",
  "img-src": ["'self'", "data:"],
  "style-src": ["'self'", "'unsafe-inline'"],
  "base-uri": "'none'",
  "form-action": "'none'",
  "frame-ancestors": "'none'",
};

/** The description of the API as a page, at `/docs`: calls can be tried from there as its reader. */
export async function serveDocs(server: ApiServer): Promise<void> {
  await server.register(swaggerUi, {
    routePrefix: "/docs",
    staticCSP: contentSecurityPolicy,
    // Without a bar that loads descriptions of other servers.
    uiConfig: { docExpansion: "list", layout: "BaseLayout" },
    theme: { title: "sandboxd" },
  });
}
