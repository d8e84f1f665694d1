import type { RefusalCode } from "#contract/error-codes.ts";

export type RefusalText = {
  readonly status: number;
  readonly title: string;
  /** What happened, for whoever sees it. */
  readonly detail: string;
  /** What the sandbox's developer, or else the operator, can do about it. Backticks mark code. */
  readonly hint?: string;
};

/** The words for every refusal, of its page and its problem document alike. */
export const refusalTexts: Readonly<Record<RefusalCode, RefusalText>> = {
  not_found: {
    status: 404,
    title: "There is no preview here",
    detail: "No sandbox has this address. It may have been deleted, or the address may be mistyped.",
    hint: "A sandbox answers only on the ports that it declares.",
  },
  misdirected: {
    status: 421,
    title: "This host is not served here",
    detail: "The request reached a server of previews, but its host name is not that of a preview.",
    hint: "If you run this server, check that `PREVIEW_DOMAIN` matches the domain that points to it.",
  },
  bad_request: {
    status: 400,
    title: "The request could not be understood",
    detail: "It does not follow the rules of HTTP, so it was not passed on to the app.",
  },
  unauthorized: {
    status: 401,
    title: "This preview is private",
    detail: "Open it from the place where you found it, or ask its owner for a share link.",
  },
  forbidden: {
    status: 403,
    title: "You cannot open this preview",
    detail: "You are known here, but this preview is not shared with you. Its owner can give you access.",
  },
  asleep: {
    status: 503,
    title: "This sandbox is asleep",
    detail: "Nobody used it for a while. Nothing is lost, and it takes only a moment to wake up.",
  },
  waking: {
    status: 503,
    title: "The sandbox is waking up",
    detail: "It is starting and cannot answer yet. Try again in a moment.",
  },
  waking_timeout: {
    status: 503,
    title: "Waking up takes longer than usual",
    detail: "The sandbox was started but has not answered yet. It may still be getting ready.",
    hint: "A server that installs or compiles first may need more time. Its log says more.",
  },
  busy: {
    status: 503,
    title: "The sandbox is busy",
    detail: "More requests are waiting for it than can be held. Try again in a moment.",
  },
  queue_full: {
    status: 503,
    title: "Too many sandboxes are waking up",
    detail: "This server starts only so many sandboxes at a time, and the queue is full. Try again in a moment.",
  },
  too_many_requests: {
    status: 429,
    title: "Too many requests",
    detail:
      "This sandbox gets more requests than it may, or its owner has as many awake as that. Try again in a moment.",
  },
  exited: {
    status: 502,
    title: "The app has stopped",
    detail: "The sandbox's command ended by itself, so there is nothing that could answer.",
    hint: "The end of its log usually says why.",
  },
  start_failed: {
    status: 502,
    title: "The sandbox could not be started",
    detail: "Its files are untouched, but its command could not be run.",
    hint: "Check the command and the environment that the sandbox was created with.",
  },
  out_of_memory: {
    status: 502,
    title: "The app ran out of memory",
    detail: "It needed more memory than the sandbox has and was ended.",
    hint: "Raise the sandbox's `memory_max`, or have the app use less memory.",
  },
  low_memory: {
    status: 503,
    title: "The server is short of memory",
    detail: "There is not enough free memory to wake this sandbox now. There will be when others fall asleep.",
  },
  image_missing: {
    status: 502,
    title: "The sandbox's image is missing",
    detail: "The image that this sandbox starts from is not on the server any more. Its files are untouched.",
    hint: "Pull or build the image on the server again.",
  },
  engine_unavailable: {
    status: 503,
    title: "Sandboxes cannot be started now",
    detail: "The container engine of this server does not answer. Nothing is lost.",
    hint: "On the server, `sandboxd doctor` says what is wrong.",
  },
  no_listener: {
    status: 502,
    title: "Nothing listens on this port",
    detail: "The sandbox is running, but no app in it listens on the port of this address.",
    hint: "Start the app on this port, or open the preview of a port that is listening.",
  },
  loopback_only: {
    status: 502,
    title: "The app can only be reached from inside",
    detail: "The sandbox is running, but its app listens on 127.0.0.1, where only the sandbox itself can reach it.",
    hint: "Have the app listen on `0.0.0.0`. Most dev servers have an option for it, such as `--host 0.0.0.0`.",
  },
  upstream_reset: {
    status: 502,
    title: "The app closed the connection",
    detail: "It did so before it had answered, or it answered with something that is not HTTP.",
    hint: "The app may have crashed or restarted while it handled the request. Its log says more.",
  },
  upstream_timeout: {
    status: 504,
    title: "The app did not answer in time",
    detail: "The sandbox is running and took the request, but no answer came.",
    hint: "A request that needs long should send its response head early and its body as it goes.",
  },
  control_unavailable: {
    status: 503,
    title: "Sandboxes cannot be woken now",
    detail: "The service that starts them does not answer. Sandboxes that are running are not affected.",
    hint: "On the server, `sandboxd doctor` says what is wrong.",
  },
};

const unauthorizedReasons: Readonly<Record<string, string>> = {
  no_token: "no credential came with the request",
  bad_signature: "the credential is not signed by a key that is known here",
  expired: "the link or session has expired",
  wrong_sandbox: "the credential is for another sandbox",
  wrong_user: "the credential is for another user",
  wrong_port: "the credential is for another port",
  revoked: "access was withdrawn",
  wrong_audience: "the credential is not for previews",
  not_yet_valid: "the credential is not valid yet",
  missing_claim: "the credential lacks something it must state",
  malformed: "the credential could not be read",
};

/** Why a credential was refused, in words; the reason as it is when there are none for it. */
export function reasonText(reason: string): string {
  return Object.hasOwn(unauthorizedReasons, reason) ? unauthorizedReasons[reason]! : reason;
}
