-- Workers of gateways that may hold connections: what a control that has just started has to wait for.
CREATE TABLE gateway_workers (id TEXT PRIMARY KEY) STRICT;
