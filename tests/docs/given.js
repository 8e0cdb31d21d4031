/** What the scripts of the documentation take for granted: names that a block uses and does not declare. */

/** Each name with its value, a script. It may use other names. @type {Record<string, string>} */
const values = {
  Siglip: "(await import('/www/siglip.js')).Siglip",
  pipeline: "(await import('/www/transformers.js')).pipeline",
  // One for all scripts of a page.
  siglip: '(await (globalThis.givenModel ??= Siglip.load()))',
  labels: "['a cat', 'a dog', 'a boat']",
  picture: "'/cat.jpg'",
  photo: "'/cat.jpg'",
  photo1: "'/cat.jpg'",
  photo2: "'/dog.jpg'",
  image: "'/cat.jpg'",
  file: "await fileOf('cat')",
  file1: "await fileOf('cat')",
  file2: "await fileOf('dog')",
  file3: "await fileOf('coffee')",
  otherFile: "await fileOf('boat')",
  files: "[await fileOf('boat'), await fileOf('coffee')]",
  fileOf:
    'async (name) => new File([await (await fetch(`/${name}.jpg`)).blob()], `${name}.jpg`, {lastModified: 0})',
  embedding: 'await siglip.embedImage(photo)',
  model: "'tiny'",
  token: "'hf_token'",
  signal: 'new AbortController().signal',
  onProgress: '() => {}',
};

/**
 * The declarations that a script lacks.
 * @param {string} code
 */
export function givenFor(code) {
  const plain = code.replace(/\/\/.*$/gm, '').replace(/'(?:\\.|[^'\\])*'/g, "''");
  /** @type {Map<string, string>} */
  const declarations = new Map();
  const declare = (/** @type {string} */ text) => {
    for (const [name, value] of Object.entries(values)) {
      // Neither a property nor a key, unless it is a shorthand.
      if (declarations.has(name) || !new RegExp(`(?<![.\\w'])${name}\\b(?!\\s*:|')`).test(text)) continue;
      if (text === plain && isDeclared(name, plain)) continue;
      declare(value.replace(/'(?:\\.|[^'\\])*'/g, "''"));
      declarations.set(name, `const ${name} = ${value};\n`);
    }
  };
  declare(plain);
  return [...declarations.values()].join('');
}

/** @param {string} name @param {string} code */
const isDeclared = (name, code) =>
  new RegExp(
    `\\b(?:const|let|function|import)\\s+(?:\\{[^}]*\\b${name}\\b[^}]*\\}|\\[[^\\]]*\\b${name}\\b[^\\]]*\\]|${name}\\b)`,
  ).test(code);
