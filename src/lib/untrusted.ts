/**
 * Renders a string that came from the box, the store or a vendor: control and format characters (C0, C1, bidi
 * overrides, line separators, tags) become visible escapes, and length is bounded, so that it can neither drive a
 * terminal nor flood a log.
 */
export function untrusted(text: string, limit = 1000): string {
  const shown = text.replaceAll(
    // oxlint-disable-next-line no-control-regex -- control characters are what this removes
    /[\u0000-\u001F\u007F-\u009F\u061C\u180E\u200B-\u200F\u2028-\u202E\u2060-\u2069\uFEFF\uFFF9-\uFFFB\u{E0000}-\u{E007F}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  )
  return shown.length <= limit ? shown : `${shown.slice(0, limit)}…`
}
