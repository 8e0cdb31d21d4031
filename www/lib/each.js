/**
 * The answer to one input, or the list of answers to a list of inputs. A list is answered in order, one at a time, or as many as a GPU
 * embeds in one pass.
 * @template T, R
 * @param {T | T[]} inputs
 * @param {(input: T) => Promise<R>} answer
 * @param {{device?: string}} [info] of the model that answers
 * @returns {Promise<any>}
 */
export async function each(inputs, answer, info) {
  if (!Array.isArray(inputs)) return answer(inputs);
  const answers = [];
  const atOnce = info?.device === 'gpu' ? 8 : 1;
  for (let i = 0; i < inputs.length; i += atOnce)
    answers.push(...(await Promise.all(inputs.slice(i, i + atOnce).map((input) => answer(input)))));
  return answers;
}
