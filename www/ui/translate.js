/** The sentences of the interface. English stands where they are used; another language has a translation for each. */

/** @type {Record<string, string>} */
let translations = {};

/**
 * Has the interface speak another language.
 * @param {Record<string, string>} sentences by the English ones, with `{}` in place of each value; theirs have `{0}` for the first
 */
export const speak = (sentences) => {
  translations = sentences;
};

/**
 * A sentence in the language of the interface.
 * @param {TemplateStringsArray} english
 * @param {...(string | number)} values
 */
export const t = (english, ...values) =>
  translations[english.join('{}')]?.replace(/\{(\d)\}/g, (_, i) => String(values[i])) ??
  String.raw({ raw: english }, ...values);
