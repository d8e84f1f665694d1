const parameter = "preview_token";
const mostTried = 4;

/** Whether there may be a token in a request target; cheap, for it is asked of every request. */
export function mayHaveQueryToken(target: string): boolean {
  const query = target.indexOf("?");
  // A name is looked at from its own beginning alone, whatever is in it: from anywhere else it would take quadratic time.
  return query >= 0 && /[?&][^=&?]*(?:token|%)/i.test(target.slice(query));
}

/** The tokens of a request target's query, in their order. */
export function readQueryTokens(target: string): readonly string[] {
  return splitQuery(target).tokens.slice(0, mostTried);
}

/** The request target without its tokens, byte for byte otherwise. */
export function withoutQueryTokens(target: string): string {
  const { path, kept, tokens } = splitQuery(target);
  if (tokens.length === 0) return target;
  return kept.length === 0 ? path : `${path}?${kept.join("&")}`;
}

function splitQuery(target: string): { path: string; kept: string[]; tokens: string[] } {
  const query = target.indexOf("?");
  if (query < 0) return { path: target, kept: [], tokens: [] };
  const kept: string[] = [];
  const tokens: string[] = [];
  for (const part of target.slice(query + 1).split("&")) {
    const equals = part.indexOf("=");
    const name = equals < 0 ? part : part.slice(0, equals);
    if (decoded(name) === parameter) tokens.push(decoded(equals < 0 ? "" : part.slice(equals + 1)));
    else kept.push(part);
  }
  return { path: target.slice(0, query), kept, tokens };
}

/** An app reads `preview%5Ftoken` as the same name, so it is. */
function decoded(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
