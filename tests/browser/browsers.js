/** Starts the installed browsers; none is downloaded. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';

/**
 * @param {string} variable
 * @param {string} usual
 * @param {string} advice
 */
function find(variable, usual, advice) {
  const path = process.env[variable] ?? usual;
  if (!existsSync(path)) throw new Error(`${path} is missing: ${advice}, or name one in ${variable}`);
  return path;
}

/** Resolves every name under .test to this machine. */
const flags = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--host-resolver-rules=MAP *.test 127.0.0.1',
];

const chromiumPath = () =>
  find('CHROMIUM', '/usr/bin/chromium', 'install Chromium (Debian: apt install chromium)');

/** Chromium with a fresh profile. @param {string[]} [more] flags */
export const launchChromium = (more = []) =>
  chromium.launch({ executablePath: chromiumPath(), args: [...flags, ...more] });

/** On Linux, WebGPU needs the driver's Vulkan; a headless browser has no surface to show. */
const vulkan = ['--enable-features=Vulkan', '--disable-vulkan-surface'];
/** Which flags give a GPU depends on its driver. With the wrong ones the request for an adapter may never be answered. */
const gpuFlags = process.platform === 'linux' ? [[...vulkan, '--use-angle=vulkan'], vulkan] : [[]];

/**
 * Chromium with a fresh profile and the machine's GPU, or what stands in for one.
 * @param {string} address of a page; WebGPU is for secure ones
 */
export async function launchChromiumWithGpu(address) {
  for (const more of gpuFlags) {
    const browser = await chromium.launch({
      executablePath: chromiumPath(),
      args: [
        ...flags.filter((flag) => flag !== '--disable-gpu'),
        '--enable-unsafe-webgpu',
        '--ignore-gpu-blocklist',
        ...more,
      ],
    });
    const page = await browser.newPage();
    await page.goto(address);
    const found = page.evaluate(async () => !!(await navigator.gpu?.requestAdapter())).catch(() => false);
    const isFound = await Promise.race([found, sleep(15_000)]);
    await page.close();
    if (isFound) return browser;
    await browser.close();
  }
  throw new Error('Chromium finds no adapter for WebGPU, neither a GPU nor a stand-in');
}

/**
 * Chromium with a persistent profile. It can be killed.
 * @param {string} profile a folder
 * @param {string[]} [more] flags
 */
export async function launchChromiumAt(profile, more = []) {
  const port = join(profile, 'DevToolsActivePort');
  await rm(port, { force: true });
  const args = [...flags, ...more, `--user-data-dir=${profile}`, '--remote-debugging-port=0', 'about:blank'];
  // Its own process group, so that all of its processes can be ended.
  const main = spawn(chromiumPath(), args, { stdio: 'ignore', detached: true });
  const ended = new Promise((resolve) => main.on('exit', resolve));
  const kill = async () => {
    if (main.pid && main.exitCode === null && main.signalCode === null) process.kill(-main.pid, 'SIGKILL');
    await ended;
  };
  for (let tries = 0; ; tries++) {
    const [number, path] = (await readFile(port, 'utf8').catch(() => '')).split('\n');
    if (path) {
      const browser = await chromium.connectOverCDP(`ws://127.0.0.1:${number}${path}`);
      return { context: browser.contexts()[0], pid: main.pid, kill };
    }
    if (tries === 200) {
      await kill();
      throw new Error('Chromium has not started within 20 s');
    }
    await sleep(100);
  }
}

const firefoxPath = () =>
  find('FIREFOX', '/usr/bin/firefox-esr', 'install Firefox (Debian: apt install firefox-esr)');
const firefoxPreferences = { 'network.dns.localDomains': 'insecure.test' };

/** Firefox with a fresh profile. @param {Record<string, unknown>} [preferences] */
export const launchFirefox = async (preferences = {}) =>
  (await import('./remote/firefox.js')).launch(firefoxPath(), { ...firefoxPreferences, ...preferences });

/** Firefox with a persistent profile. It can be killed. @param {string} profile a folder */
const launchFirefoxAt = async (profile) =>
  (await import('./remote/firefox.js')).launchAt(firefoxPath(), firefoxPreferences, profile);

/** WebKitGTK's MiniBrowser on a virtual screen. Each context has a fresh profile. */
export const launchWebkit = async () =>
  (await import('./remote/webkit.js')).launch({
    driver: find(
      'WEBKIT_DRIVER',
      '/usr/bin/WebKitWebDriver',
      'install it (Debian: apt install webkit2gtk-driver xvfb)',
    ),
    browser: find(
      'MINIBROWSER',
      '/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser',
      'install it (Debian: apt install webkit2gtk-driver)',
    ),
    screen: find('XVFB', '/usr/bin/Xvfb', 'install it (Debian: apt install xvfb)'),
  });

/** WebKitGTK's MiniBrowser, which can be killed. Its driver gives it profiles in memory only, not in a folder. */
async function launchWebkitAt() {
  const browser = await launchWebkit();
  const context = await browser.newContext();
  return { context, pid: context.pid, kill: () => context.kill().then(browser.close) };
}

/** The capabilities of a browser in the tests; `backend` is the fastest build that it runs. */
const traits = {
  chromium: {
    launch: launchChromium,
    launchAt: launchChromiumAt,
    keepsProfiles: true,
    backend: 'relaxed-simd',
    hasFiles: true,
    hasStorageManager: true,
    hasSharedMemory: true,
    hasHttpCache: true,
    // Of an <img> that shows an SVG with HTML in it, from a blob: address, no page may read the pixels.
    keepsBackForeignObjects: true,
    // An animated AVIF may have no still picture beside its track.
    showsTracksAlone: true,
  },
  firefox: {
    launch: launchFirefox,
    launchAt: launchFirefoxAt,
    keepsProfiles: true,
    backend: 'relaxed-simd',
    hasFiles: true,
    hasStorageManager: true,
    hasSharedMemory: true,
    hasHttpCache: true,
    keepsBackForeignObjects: false,
    showsTracksAlone: false,
  },
  webkit: {
    launch: launchWebkit,
    launchAt: launchWebkitAt,
    keepsProfiles: false,
    backend: 'simd',
    // Models are cached in the Cache API, so a partial download is not kept.
    hasFiles: false,
    // There is no `navigator.storage`: nothing tells how much room there is, or keeps models for good.
    hasStorageManager: false,
    // Workers share a model by messages, on isolated pages too.
    hasSharedMemory: false,
    // The driver's profiles are in memory only.
    hasHttpCache: false,
    keepsBackForeignObjects: true,
    showsTracksAlone: true,
  },
};

/** The build behind `info.backend`, which also tells how the processor multiplies bytes. @param {string} backend */
export const buildOf = (backend) => backend.replace(/-[ui]8$/, '');

const name = /** @type {keyof typeof traits} */ (process.env.BROWSER ?? 'chromium');
if (!traits[name]) throw new Error(`BROWSER is ${Object.keys(traits).join(', ')}; not ${name}`);

/** The browser that BROWSER names: all tests of a run are in the same. */
export const browserOfTests = { name, ...traits[name] };

/** The options of a test that needs what only Playwright's driver for Chromium can do. @param {string} what */
export const onlyChromium = (what) => ({
  skip: name !== 'chromium' && `${what}: Chromium's driver alone can`,
});
