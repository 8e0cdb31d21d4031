/** Fresh projects with the packed package installed, as a user has them: target/npm-projects/. */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileAt } from '../browser/harness.js';

/** The folder that holds them, with the bundlers of all. */
export const projects = fileAt('target/npm-projects');

/** Installs the bundlers, unless they are there, and the package that `cargo xtask package --npm` has made. */
export async function install() {
  const packed = (await readdir(fileAt('target/npm'))).find((name) => name.endsWith('.tgz'));
  if (!packed) throw new Error('target/npm/ has no package: run `cargo xtask package --npm`');
  await mkdir(projects, { recursive: true });
  for (const name of await readdir(projects)) {
    if (name !== 'node_modules') await rm(join(projects, name), { recursive: true });
  }
  for (const name of ['package.json', 'package-lock.json']) {
    await cp(fileAt(`tests/npm/${name}`), join(projects, name));
  }
  const npm = (/** @type {string[]} */ ...parameters) =>
    execFileSync('npm', [...parameters, '--no-audit', '--no-fund'], {
      cwd: projects,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  if (!(await isInstalled())) npm('ci');
  await rm(join(projects, 'node_modules/siglip-web'), { recursive: true, force: true });
  npm('install', '--no-save', '--prefer-offline', fileAt(`target/npm/${packed}`));
  await cp(fileAt('examples/npm'), projects, { recursive: true });
  // Vite's development server serves files of the workspace only, and looks for this file at its root.
  await writeFile(join(projects, 'pnpm-workspace.yaml'), 'packages: ["*"]\n');
}

/** Whether the bundlers are those of package-lock.json. */
async function isInstalled() {
  const installed = join(projects, 'node_modules/.package-lock.json');
  if (!existsSync(installed)) return false;
  return (await stat(installed)).mtimeMs > (await stat(fileAt('tests/npm/package-lock.json'))).mtimeMs;
}

const execute = promisify(execFile);

/**
 * Runs a program with the installed ones in its path.
 * @param {string} project
 * @param {string} program
 * @param {...string} parameters
 * @returns {Promise<string>} what it writes
 */
export async function run(project, program, ...parameters) {
  const env = { ...process.env, PATH: `${join(projects, 'node_modules/.bin')}:${process.env.PATH}` };
  try {
    const { stdout } = await execute(program, parameters, { cwd: join(projects, project), env });
    return stdout;
  } catch (error) {
    const { stdout, stderr } = /** @type {{stdout: string, stderr: string}} */ (error);
    throw new Error(`${program} ${parameters.join(' ')} in ${project}:\n${stdout}\n${stderr}`, {
      cause: error,
    });
  }
}
