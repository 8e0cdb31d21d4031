/** The API reference: Markdown by TypeDoc of the types that the npm package has. */
import { execFileSync } from 'node:child_process';
import { cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * The entries of the package, by page: what the types call them, and the files of types that their declarations name besides.
 * @type {Record<string, {from: string, types: Record<string, string>}>}
 */
const entries = {
  'siglip-web': {
    from: 'www/siglip',
    types: {
      'www/lib/classes': 'ClassesFile, Lesson',
      'www/lib/images': 'Encoded',
      'www/lib/parameters': 'Dtype, EmbedOptions, ExplainOptions, ImageOptions, Source',
      'www/lib/pipeline': 'TransformersOptions',
      'www/lib/search-index': 'SearchIndex',
      'www/lib/siglip': 'Labels, LoadedModel, PatchOptions',
      'www/lib/source': 'SourceChoice',
      'www/worker/protocol': 'Device, EngineInfo, Precision, Ranking, Reliability, TaughtSummary',
    },
  },
  'siglip-web-element': { from: 'npm/element', types: {} },
  'siglip-web-search': { from: 'npm/search', types: {} },
  'siglip-web-node': { from: 'npm/node', types: {} },
  'siglip-web-transformers': {
    from: 'www/transformers',
    types: { 'www/lib/transformers': 'ImageInputs, RawPixels, TextInputs' },
  },
};

/**
 * JSDoc makes `type X = import('…').X` of an import, for TypeDoc a type of its own. As an import it is the type that is described.
 * @param {string} declarations
 */
const withImports = (declarations) =>
  declarations
    .replace(
      /^(export )?type (\w+) = import\('([^']+)'\)\.\2;$/gm,
      "import type { $2 } from '$3';\nexport type { $2 };",
    )
    .replace(/^export declare const (\w+): typeof import\('([^']+)'\)\.\1;$/gm, "export { $1 } from '$2';");

/**
 * @param {string} root the repository
 * @param {string} tools the folder with docs/site/package.json's packages
 * @param {string} folder where the Markdown goes
 */
export async function writeReference(root, tools, folder) {
  const types = join(tools, 'types');
  await rm(types, { recursive: true, force: true });
  const tsc = join(root, 'node_modules/.bin/tsc');
  execFileSync(tsc, ['-p', 'npm', '--outDir', types], { cwd: root, stdio: 'inherit' });
  for (const name of ['element', 'search'])
    await cp(join(root, `npm/${name}.d.ts`), join(types, `npm/${name}.d.ts`));
  for (const name of await readdir(types, { recursive: true })) {
    if (!name.endsWith('.d.ts')) continue;
    const path = join(types, name);
    await writeFile(path, withImports(await readFile(path, 'utf8')));
  }
  for (const [name, { from, types: named }] of Object.entries(entries)) {
    const besides = Object.entries(named).map(
      ([path, names]) => `export type { ${names} } from './${path}.js';`,
    );
    await writeFile(join(types, `${name}.d.ts`), [`export * from './${from}.js';`, ...besides].join('\n'));
  }
  await writeFile(
    join(types, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        target: 'ES2024',
        module: 'ESNext',
        moduleResolution: 'Bundler',
        lib: ['ES2024', 'DOM', 'DOM.Iterable'],
        types: [],
        noEmit: true,
        skipLibCheck: true,
      },
      include: Object.keys(entries).map((name) => `${name}.d.ts`),
    }),
  );
  const made = join(tools, 'reference');
  await writeFile(
    join(types, 'typedoc.json'),
    JSON.stringify({
      name: 'siglip-web',
      plugin: ['typedoc-plugin-markdown'],
      entryPoints: Object.keys(entries).map((name) => `${name}.d.ts`),
      tsconfig: 'tsconfig.json',
      out: made,
      outputFileStrategy: 'modules',
      readme: 'none',
      logLevel: 'Error',
      skipErrorChecking: true,
      disableSources: true,
      excludePrivate: true,
      excludeProtected: true,
      excludeExternals: true,
      hideBreadcrumbs: true,
      hidePageHeader: true,
      useCodeBlocks: true,
      parametersFormat: 'table',
      interfacePropertiesFormat: 'table',
      classPropertiesFormat: 'table',
      typeDeclarationFormat: 'table',
    }),
  );
  // TypeDoc reads types with a TypeScript of its own, which is in the same folder.
  execFileSync(process.execPath, [join(tools, 'node_modules/typedoc/bin/typedoc')], {
    cwd: types,
    stdio: 'inherit',
  });
  await mkdir(folder, { recursive: true });
  for (const name of Object.keys(entries)) await cp(join(made, `${name}.md`), join(folder, `${name}.md`));
}
