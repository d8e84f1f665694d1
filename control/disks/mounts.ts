import { readFile } from "node:fs/promises";

export type Mount = {
  readonly path: string;
  /** `ext4`, `btrfs`, … */
  readonly type: string;
  /** The device or what stands for it. */
  readonly source: string;
  /** Of the mount and of the file system. */
  readonly options: readonly string[];
  /** Whether mounts below it are seen in other namespaces. */
  readonly shared: boolean;
};

/** The mounts that this process sees, in the order in which they were made (proc_pid_mountinfo(5)). */
export async function readMounts(file = "/proc/self/mountinfo"): Promise<readonly Mount[]> {
  return parseMounts(await readFile(file, "utf8"));
}

export function parseMounts(text: string): readonly Mount[] {
  return text.split("\n").flatMap((line) => {
    const [mount = "", system = ""] = line.split(" - ");
    const [, , , , path, own = "", ...tags] = mount.split(" ");
    const [type = "", source = "", options = ""] = system.split(" ");
    if (path === undefined) return [];
    const all = [...own.split(","), ...options.split(",")];
    return [
      {
        path: plain(path),
        type,
        source: plain(source),
        options: all,
        shared: tags.some((tag) => tag.startsWith("shared:")),
      },
    ];
  });
}

/** The one that a path is on. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  const above = mounts.filter((mount) => path === mount.path || path.startsWith(mount.path.replace(/\/?$/, "/")));
  // Of those at one path the last one hides the others.
  return above.reduce<Mount | undefined>(
    (best, each) => (best && best.path.length > each.path.length ? best : each),
    undefined,
  );
}

function plain(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
