import { chmodSync, lstatSync, mkdirSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { dirname } from "node:path";
import { type Address, formatAddress } from "#contract/environment.ts";
import type { ApiServer } from "./server.ts";

/** Somebody else listens there. The message names the variable to change. */
export class AddressTakenError extends Error {
  override readonly name = "AddressTakenError";
}

/** Listens on TCP and returns the bound address. Throws AddressTakenError. */
export async function listenOnAddress(server: ApiServer, bind: Address): Promise<string> {
  try {
    await server.listen(bind);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const what = code === "EADDRINUSE" ? "it is taken" : message;
    throw new AddressTakenError(`Cannot listen on ${formatAddress(bind)} (SANDBOXD_API_BIND): ${what}`, { cause });
  }
  const { address, port } = server.server.address() as AddressInfo;
  return formatAddress({ host: address, port });
}

/** Listens on a unix socket, in place of one that nobody listens on any more. Throws AddressTakenError. */
export async function listenOnSocket(server: ApiServer, path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
  if (await isListenedOn(path))
    throw new AddressTakenError(`Cannot listen on ${path} (SANDBOXD_CONTROL_SOCKET): it is taken`);
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket()) rmSync(path);
  try {
    await server.listen({ path });
  } catch (cause) {
    throw new AddressTakenError(`Cannot listen on ${path} (SANDBOXD_CONTROL_SOCKET): ${(cause as Error).message}`, {
      cause,
    });
  }
  chmodSync(path, 0o660);
}

function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
