/** Turns JSON of the other process into a type, or throws naming the place: the inside never checks again. */
export type Decoder<T> = (value: unknown, path: string) => T;

export class DecodeError extends Error {
  override readonly name = "DecodeError";
}

function refuse(path: string, expected: string, value: unknown): never {
  throw new DecodeError(`${path}: expected ${expected}, got ${JSON.stringify(value)?.slice(0, 80)}`);
}

/** Decodes one JSON text whole. Throws DecodeError for text that is not JSON as well. */
export function decodeJson<T>(decoder: Decoder<T>, text: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DecodeError(`not JSON: ${text.slice(0, 80)}`, { cause });
  }
  return decoder(value, "$");
}

export const string: Decoder<string> = (value, path) =>
  typeof value === "string" ? value : refuse(path, "a string", value);

export const boolean: Decoder<boolean> = (value, path) =>
  typeof value === "boolean" ? value : refuse(path, "a boolean", value);

/** A whole number of at least 0 that a double holds exactly. */
export const count: Decoder<number> = (value, path) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : refuse(path, "a count", value);

export function literal<const T extends string>(...allowed: readonly T[]): Decoder<T> {
  return (value, path) => (allowed.includes(value as T) ? (value as T) : refuse(path, allowed.join(" | "), value));
}

export function array<T>(item: Decoder<T>): Decoder<readonly T[]> {
  return (value, path) =>
    Array.isArray(value)
      ? value.map((each, index) => item(each, `${path}[${index}]`))
      : refuse(path, "an array", value);
}

export function nullable<T>(decoder: Decoder<T>): Decoder<T | null> {
  return (value, path) => (value === null ? null : decoder(value, path));
}

export function optional<T>(decoder: Decoder<T>): Decoder<T | undefined> {
  return (value, path) => (value === undefined ? undefined : decoder(value, path));
}

/** A value of another decoder narrowed by a parser that returns undefined for what it refuses. */
export function parsed<T, U>(decoder: Decoder<T>, parse: (value: T) => U | undefined, expected: string): Decoder<U> {
  return (value, path) => parse(decoder(value, path)) ?? refuse(path, expected, value);
}

export function record<T>(item: Decoder<T>): Decoder<Readonly<Record<string, T>>> {
  return (value, path) => {
    if (!isObject(value)) return refuse(path, "an object", value);
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, item(each, `${path}.${key}`)]));
  };
}

type Value<Field> = Field extends Decoder<infer T> ? T : never;
type Decoded<Fields> = {
  readonly [Key in keyof Fields as undefined extends Value<Fields[Key]> ? never : Key]: Value<Fields[Key]>;
} & { readonly [Key in keyof Fields as undefined extends Value<Fields[Key]> ? Key : never]?: Value<Fields[Key]> };

/** An object with these fields and no others. */
export function object<const Fields extends Record<string, Decoder<unknown>>>(
  fields: Fields,
): Decoder<Decoded<Fields>> {
  const names = Object.keys(fields);
  return (value, path) => {
    if (!isObject(value)) return refuse(path, "an object", value);
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(fields, key)) refuse(`${path}.${key}`, "no such field", value[key]);
    }
    const decoded: Record<string, unknown> = {};
    for (const name of names) {
      const field = fields[name]!(value[name], `${path}.${name}`);
      if (field !== undefined) decoded[name] = field;
    }
    return decoded as Decoded<Fields>;
  };
}

/** One of several objects, told apart by the text of one field. */
export function union<Tag extends string, const Members extends Record<string, Decoder<unknown>>>(
  tag: Tag,
  members: Members,
): Decoder<{ [Key in keyof Members]: Members[Key] extends Decoder<infer T> ? T : never }[keyof Members]> {
  return (value, path) => {
    if (!isObject(value)) return refuse(path, "an object", value);
    const name = value[tag];
    if (typeof name !== "string" || !Object.hasOwn(members, name)) {
      return refuse(`${path}.${tag}`, Object.keys(members).join(" | "), name);
    }
    return members[name]!(value, path) as never;
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
