/** So many spellings are kept, none longer than this: an app or a client may make up as many as it likes. */
const keptSpellings = 1_000;
const longestKept = 64;

/**
 * What `judge` says of a header's name in lower case, looked up by its spelling: few names make up nearly all headers, and
 * neither their case nor the rules about them need to be looked at for each request anew.
 */
export function judgedByName<Verdict extends string>(judge: (lower: string) => Verdict): (name: string) => Verdict {
  const known = new Map<string, Verdict>();
  return (name) => {
    const verdict = known.get(name);
    return verdict ?? learn(name);
  };

  function learn(name: string): Verdict {
    const verdict = judge(name.toLowerCase());
    if (name.length > longestKept) return verdict;
    if (known.size >= keptSpellings) known.clear();
    known.set(name, verdict);
    return verdict;
  }
}
