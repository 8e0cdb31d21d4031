/**
 * The answer to one input, or the list of answers to a list of inputs. A list is answered in order, one at a time.
 * @template T, R
 * @param {T | T[]} inputs
 * @param {(input: T) => Promise<R>} answer
 * @returns {Promise<any>}
 */
export async function each(inputs, answer) {
  if (!Array.isArray(inputs)) return answer(inputs);
  const answers = [];
  for (const input of inputs) answers.push(await answer(input));
  return answers;
}
