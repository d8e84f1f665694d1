/** So many spellings are kept, none longer than this: an app or a client may make up as many as it likes. */
const keptSpellings = 1_000;
const longestKept = 64;

/** What is said of a name, and the name: one string for all headers with that spelling, which is looked up faster than a new one. */
export type Judged<Verdict> = { readonly verdict: Verdict; readonly name: string };

/**
 * What `judge` says of a header's name in lower case, looked up by its spelling: few names make up nearly all headers, and
 * neither their case nor the rules about them need to be looked at for each request anew.
 */
export function judgedByName<Verdict extends string>(
  judge: (lower: string) => Verdict,
): (name: string) => Judged<Verdict> {
  const known = new Map<string, Judged<Verdict>>();
  return (name) => known.get(name) ?? learn(name);

  function learn(name: string): Judged<Verdict> {
    const verdict = judge(name.toLowerCase());
    if (name.length > longestKept) return { verdict, name };
    if (known.size >= keptSpellings) known.clear();
    const judged = { verdict, name: asKey(name) };
    known.set(name, judged);
    return judged;
  }
}

/** The same text as the engine keeps it for names of properties: the HTTP client looks each header up in an object. */
function asKey(name: string): string {
  return Object.keys({ [name]: true })[0]!;
}
