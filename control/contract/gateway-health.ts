/** Under this `Host` a gateway says whether it takes requests: 200, or 503 before it leaves. No preview has that name. */
export const gatewayHealth = { host: "gateway.internal", path: "/healthz" } as const;
