import type { FastifySchemaCompiler } from "fastify";
import type { TSchema } from "typebox";
import { Compile } from "typebox/compile";

/** A request that does not fit its schema; the message names the first field that does not. */
export class ValidationError extends Error {
  override readonly name = "ValidationError";
}

type Problem = { keyword: string; instancePath: string; params: object; message?: string };

const placeOf: Readonly<Record<string, string>> = {
  body: "body",
  querystring: "query",
  params: "path",
  headers: "header",
};

/** Compiles a route's schemas. Bodies are taken as they are; text of the URL is read as what the schema says. */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const validator = Compile(schema);
  const place = placeOf[httpPart ?? "body"] ?? "body";
  return (value: unknown) => {
    // A call without a body decides nothing.
    const converted = httpPart === "body" ? (value ?? {}) : readTexts(schema, value as object);
    if (validator.Check(converted)) return { value: converted };
    return { error: new ValidationError(describe(validator.Errors(converted) as Problem[], place)) };
  };
};

const integer = /^(?:0|-?[1-9][0-9]*)$/;
const booleans: ReadonlyMap<unknown, boolean> = new Map([
  ["true", true],
  ["1", true],
  ["false", false],
  ["0", false],
]);

/** The forms of the environment: what is neither stays text, and the schema refuses it. */
function readTexts(schema: TSchema, texts: object): object {
  const { properties = {} } = schema as { properties?: Readonly<Record<string, { type?: unknown }>> };
  const read = (type: unknown, text: unknown) => {
    if (type === "integer" && typeof text === "string" && integer.test(text)) return Number(text);
    return type === "boolean" ? (booleans.get(text) ?? text) : text;
  };
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, read(properties[name]?.type, text)]));
}

function describe(problems: readonly Problem[], place: string): string {
  const unknown = problems.find(({ keyword }) => keyword === "additionalProperties");
  if (unknown !== undefined) {
    const { additionalProperties } = unknown.params as { additionalProperties: readonly string[] };
    return `${place}: there is no field ${path(unknown.instancePath, additionalProperties[0]!)}`;
  }
  const missing = problems.find(({ keyword }) => keyword === "required");
  if (missing !== undefined) {
    const { requiredProperties } = missing.params as { requiredProperties: readonly string[] };
    return `${place}: the field ${path(missing.instancePath, requiredProperties[0]!)} is missing`;
  }
  return describePlain(problems, place);
}

/** Alternatives are told by what all of them have in common: the field, and the values that it may have. */
function describePlain(problems: readonly Problem[], place: string): string {
  const first = problems[0];
  if (first === undefined) return `${place}: not as expected`;
  const field = path(first.instancePath);
  const at = field === "" ? place : `${place}: ${field}`;
  const allowed = problems.flatMap(({ keyword, params }) =>
    keyword === "enum" ? (params as { allowedValues: readonly unknown[] }).allowedValues : [],
  );
  if (allowed.length > 0) return `${at} must be one of ${allowed.map((value) => JSON.stringify(value)).join(", ")}`;
  return `${at} ${first.message ?? "is not as expected"}`;
}

/** `/ports/0` and `x` as `ports[0].x`. */
function path(pointer: string, ...more: readonly string[]): string {
  const keys = pointer
    .split("/")
    .slice(1)
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  return [...keys, ...more].reduce((text, key) => {
    if (/^[0-9]+$/.test(key)) return `${text}[${key}]`;
    return text === "" ? key : `${text}.${key}`;
  }, "");
}
