import { readFile } from "node:fs/promises";

type Block = { readonly section: string; readonly script: string };

/** The shell commands of a page of `docs/`, block by block. */
export class ShellPage {
  readonly #blocks: readonly Block[];
  readonly #left: Set<Block>;

  private constructor(text: string) {
    this.#blocks = blocksOf(text);
    this.#left = new Set(this.#blocks);
  }

  static async read(name: string): Promise<ShellPage> {
    return new ShellPage(await readFile(new URL(`../../docs/${name}`, import.meta.url), "utf8"));
  }

  /** The block below a heading like this one that says this. */
  take(section: string, says: string): string {
    const block = this.#blocks.find((each) => each.section.includes(section) && each.script.includes(says));
    if (block === undefined) throw new Error(`The page has no such block in ${section}: ${says}`);
    this.#left.delete(block);
    return block.script;
  }

  /** The scripts that nobody has taken. */
  get left(): readonly string[] {
    return [...this.#left].map(({ script }) => script);
  }
}

/** A block in a list is indented as far as its fence. */
function blocksOf(text: string): readonly Block[] {
  const blocks: Block[] = [];
  let section = "";
  let open: { readonly isShell: boolean; readonly indent: string; readonly lines: string[] } | undefined;
  for (const line of text.split("\n")) {
    const fence = /^( *)```(\w*)$/.exec(line);
    if (open === undefined) {
      section = /^#+ (.*)$/.exec(line)?.[1] ?? section;
      if (fence) open = { isShell: fence[2] === "sh", indent: fence[1]!, lines: [] };
    } else if (fence) {
      if (open.isShell) blocks.push({ section, script: `${open.lines.join("\n")}\n` });
      open = undefined;
    } else open.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
  }
  return blocks;
}
