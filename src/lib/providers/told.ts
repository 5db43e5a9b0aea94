import * as v from 'valibot'

/**
 * Fields of vendors' records: what has the wrong type counts as not told, since one odd field must not hide an instance that
 * costs money.
 */
export const told = {
  number: lenient(v.pipe(v.number(), v.finite())),
  text: lenient(v.pipe(v.string(), v.trim(), v.maxLength(4096))),
  flag: lenient(v.boolean()),
  texts: v.fallback(v.array(v.string()), []),
  /** The names alone: values may be secrets. */
  names: v.fallback(
    v.pipe(
      v.record(v.string(), v.unknown()),
      v.transform((values) => Object.keys(values)),
    ),
    [],
  ),
}

/** An object of such fields, or nothing. */
export function lenient<S extends v.GenericSchema>(schema: S) {
  return v.pipe(
    v.fallback(v.nullish(schema), undefined),
    v.transform((value) => value ?? undefined),
  )
}
