/**
 * Makes of docs/ what mdBook reads: pages with links that hold outside the repository, the API reference, and the parts that
 * run on a page.
 *
 *     node scripts/docs/build.js target/docs-tools target/docs-source
 */
import { cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import { forSite } from './markdown.js';
import { writeReference } from './reference.js';

const root = resolve(import.meta.dirname, '../..');
const [tools, folder] = process.argv.slice(2).map((path) => resolve(path));
const site = join(root, 'docs/site');
const source = join(folder, 'src');
const [, repository] = /** @type {RegExpMatchArray} */ (
  (await readFile(join(root, 'Cargo.toml'), 'utf8')).match(/^repository = "(.+)"$/m)
);

await rm(folder, { recursive: true, force: true });
await mkdir(join(folder, 'theme'), { recursive: true });
await mkdir(source);
for (const name of await readdir(join(root, 'docs'))) {
  const [from, to] = [join(root, 'docs', name), join(source, name)];
  if (extname(name) === '.md') await writeFile(to, forSite(await readFile(from, 'utf8'), repository));
  else if (extname(name)) await cp(from, to);
}
await cp(join(site, 'SUMMARY.md'), join(source, 'SUMMARY.md'));
for (const name of ['book.toml', 'site.css']) await cp(join(site, name), join(folder, name));
await cp(join(site, 'head.html'), join(folder, 'theme/head.hbs'));
for (const name of ['live.js', 'diagrams.js']) await cp(join(site, name), join(source, name));
await cp(join(tools, 'node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js'), join(source, 'mermaid.tiny.js'));
// The picture of the examples.
await cp(join(root, 'www/samples/cat.jpg'), join(source, 'cat.jpg'));
await cp(join(site, 'rust.md'), join(source, 'rust.md'));
await writeReference(root, tools, join(source, 'reference'));
