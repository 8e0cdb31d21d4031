/** The pages of the documentation, with their code blocks. */
import { readFileSync, readdirSync } from 'node:fs';
import { blocksOf } from '../../scripts/docs/markdown.js';
import { fileAt } from '../browser/harness.js';

/** @typedef {import('../../scripts/docs/markdown.js').Block & {at: string}} Block */

const files = [
  'README.md',
  'npm/README.md',
  ...readdirSync(fileAt('docs')).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : [])),
];

/** Every code block; `at` says where it is. @type {Block[]} */
export const blocks = files.flatMap((file) =>
  blocksOf(readFileSync(fileAt(file), 'utf8')).map((block) => ({ ...block, at: `${file}:${block.line}` })),
);

/** What of a language the tests run. @param {...string} languages */
export const executable = (...languages) =>
  blocks.filter(({ language, notRun }) => languages.includes(language) && notRun === undefined);

/**
 * What a script says it prints: the comments behind `console.log(…);`.
 * @param {string} code
 */
export const printed = (code) =>
  [...code.matchAll(/^console\.log\(.*\);[ \t]*\/\/ (.+)$/gm)].map(([, text]) => text);
