/** What a daemon has by itself. */
const plain = /^(?:runc|crun|youki|io\.containerd\.(?:runc|runtime)\..*)$/;

/** Whether containers of this runtime share the host's kernel, which then sees what they do. */
export function sharesKernel(runtime: string | undefined): boolean {
  return runtime === undefined || runtime === "" || plain.test(runtime);
}

/** An operator who has chosen a runtime has it for all: nobody gets out of it into a plain one. */
export function runtimesToChoose(known: readonly string[], configured: string | null): readonly string[] {
  return known.filter((name) => configured === null || name === configured || !sharesKernel(name)).sort();
}
