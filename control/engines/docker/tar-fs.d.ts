declare module "tar-fs" {
  import type { Writable } from "node:stream";

  type Header = {
    name: string;
    type: string | null;
    mode: number;
    uid: number;
    gid: number;
    linkname: string | null;
  };

  type ExtractOptions = {
    map?: (header: Header) => Header;
    ignore?: (name: string, header: Header) => boolean;
    strip?: number;
    umask?: number;
  };

  export function extract(directory: string, options?: ExtractOptions): Writable;
}
