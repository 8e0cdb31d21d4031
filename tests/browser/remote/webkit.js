/**
 * WebKitGTK's MiniBrowser, through WebDriver. Its commands are few, so they are sent as they are. A driver has one
 * session, and a session shows its windows to one command at a time: each context has a driver of its own, and scripts
 * that take long are started and asked after.
 */
import { spawn } from 'node:child_process';
import { createServer as createProxy, request } from 'node:http';
import { createServer } from 'node:net';
import { pipeline } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { putFiles, toFileParts } from './files.js';
import { NAVIGATED, RemotePage, untilNextLook } from './page.js';

/** @typedef {import('./page.js').Tab} Tab */

const POLL = 15;
/** How long a session may take to begin, in milliseconds; most take one second. */
const LONGEST_START = 20_000;
/** Drivers that are tried for a session. */
const MOST_DRIVERS = 5;
/** The name of an element in WebDriver's JSON. */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';
/** Keys by name: https://www.w3.org/TR/webdriver2/#keyboard-actions. @type {Record<string, string>} */
const KEYS = {
  Enter: '\uE007',
  Tab: '\uE004',
  Backspace: '\uE003',
  Escape: '\uE00C',
  Space: ' ',
  Control: '\uE009',
  End: '\uE010',
  Home: '\uE011',
  ArrowDown: '\uE015',
};

/** @returns {Promise<number>} */
const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject()));
    });
  });

/** A screen that nobody sees. @param {string} program */
async function startScreen(program) {
  const screen = spawn(program, ['-displayfd', '3', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const display = await new Promise((resolve, reject) => {
    screen.on('error', reject);
    screen.stdio[3]?.once('data', (data) => resolve(`:${String(data).trim()}`));
  });
  return { display, end: () => screen.kill() };
}

/** A proxy to which every name is this machine, as the other browsers are told of names under .test. */
async function startProxy() {
  const proxy = createProxy((incoming, response) => {
    const { port, pathname, search } = new URL(incoming.url ?? '');
    const { method, headers } = incoming;
    // A connection for each request: a kept one may be closing while the next request is written to it.
    const onward = request(
      { host: '127.0.0.1', port, path: pathname + search, method, headers, agent: false },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers).flushHeaders();
        // Whichever side ends early, so does the other.
        pipeline(answer, response, () => onward.destroy());
      },
    );
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    incoming.pipe(onward);
  });
  const port = await freePort();
  await new Promise((resolve) => proxy.listen(port, '127.0.0.1', () => resolve(undefined)));
  const end = () => {
    proxy.closeAllConnections();
    proxy.close();
  };
  return { address: `127.0.0.1:${port}`, end };
}

/**
 * WebKit with a fresh, ephemeral profile for each context.
 * @param {{driver: string, browser: string, screen: string}} paths
 */
export async function launch({ driver, browser, screen: program }) {
  const [screen, proxy] = await Promise.all([startScreen(program), startProxy()]);
  /** @type {Set<Session>} */
  const sessions = new Set();
  return {
    async newContext({ showsVideo = false } = {}) {
      /** @type {Record<string, string>} */
      const environment = { DISPLAY: screen.display };
      // Layers that OpenGL composes without a GPU take a quarter of a test's processor time. Only video needs them.
      if (!showsVideo) environment.WEBKIT_DISABLE_COMPOSITING_MODE = '1';
      const session = await Session.start(driver, browser, environment, proxy.address);
      sessions.add(session);
      const self = {
        newPage: async () => new RemotePage(await session.newTab(), self),
        close: async () => {
          sessions.delete(session);
          await session.end();
        },
        pid: session.pid,
        /** Ends all processes of its browser at once. */
        async kill() {
          sessions.delete(session);
          session.kill();
        },
      };
      return self;
    },
    async close() {
      await Promise.all([...sessions].map((session) => session.end()));
      proxy.end();
      screen.end();
    },
  };
}

class Session {
  #driver;
  #base;
  /** The command under way: the next one waits for it. @type {Promise<unknown>} */
  #last = Promise.resolve();
  /** The window that the session began with. @type {string | undefined} */
  #first;
  /** The window that commands are for. */
  #current = '';

  /**
   * @param {import('node:child_process').ChildProcess} driver
   * @param {string} base
   */
  constructor(driver, base) {
    this.#driver = driver;
    this.#base = base;
  }

  /**
   * A session with a driver of its own. A driver waits without end for a browser that has crashed: it is replaced by
   * another one.
   * @param {string} driver @param {string} binary @param {Record<string, string>} environment @param {string} httpProxy
   */
  static async start(driver, binary, environment, httpProxy) {
    const capabilities = {
      alwaysMatch: {
        browserName: 'MiniBrowser',
        // Without `noProxy`, whose list WebKitGTK reads past its end: one browser in five then crashes at its start.
        proxy: { proxyType: 'manual', httpProxy },
        'webkitgtk:browserOptions': { binary, args: ['--automation'] },
      },
    };
    for (let tries = 1; ; tries++) {
      const session = await Session.#ofNewDriver(driver, environment);
      try {
        await session.#begin(capabilities);
        return session;
      } catch (error) {
        session.kill();
        if (tries === MOST_DRIVERS) throw error;
      }
    }
  }

  /** @param {string} driver @param {Record<string, string>} environment */
  static async #ofNewDriver(driver, environment) {
    const port = await freePort();
    // A group of its own: the browser's processes end with it.
    const child = spawn(driver, [`--port=${port}`], {
      env: { ...process.env, ...environment },
      stdio: 'ignore',
      detached: true,
    });
    return new Session(child, `http://127.0.0.1:${port}/session`);
  }

  /** @param {object} capabilities */
  async #begin(capabilities) {
    const signal = AbortSignal.timeout(LONGEST_START);
    for (;;) {
      try {
        const { sessionId } = await this.#send('POST', '', { capabilities }, signal);
        this.#base += `/${sessionId}`;
        return;
      } catch (error) {
        // The driver does not listen yet, unless the time is over.
        if (signal.aborted) throw error;
        await sleep(50);
      }
    }
  }

  /** The leader of the group of its processes. */
  get pid() {
    return this.#driver.pid;
  }

  async end() {
    await this.#send('DELETE', '').catch(() => {});
    this.kill();
  }

  kill() {
    if (this.#driver.pid && this.#driver.exitCode === null) process.kill(-this.#driver.pid, 'SIGKILL');
  }

  /** @param {string} method @param {string} path @param {object} [body] @param {AbortSignal} [signal] */
  async #send(method, path, body, signal) {
    const options = { method, body: body && JSON.stringify(body), signal };
    const response = await fetch(`${this.#base}${path}`, options);
    const { value } = /** @type {any} */ (await response.json());
    if (!response.ok) throw new Error(`WebDriver ${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  }

  /**
   * Commands for a window, with no other in between.
   * @template T
   * @param {string} handle
   * @param {() => Promise<T>} commands
   * @returns {Promise<T>}
   */
  #inWindow(handle, commands) {
    const turn = this.#last.then(async () => {
      if (this.#current !== handle) await this.#send('POST', '/window', { handle });
      this.#current = handle;
      return commands();
    });
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** @returns {Promise<Tab>} */
  async newTab() {
    // The first window stays: with the last one the session ends.
    const first = (this.#first ??= /** @type {string} */ (await this.#send('GET', '/window')));
    const open = () => this.#send('POST', '/window/new', { type: 'window' });
    const { handle } = await this.#inWindow(first, open);
    /** @type {(method: string, path: string, body?: object) => Promise<any>} */
    const send = (method, path, body) => this.#inWindow(handle, () => this.#send(method, path, body));
    const execute = (/** @type {string} */ script) => send('POST', '/execute/sync', { script, args: [] });
    const type = async (/** @type {string} */ value) => {
      const actions = [...value].flatMap((key) => [
        { type: 'keyDown', value: key },
        { type: 'keyUp', value: key },
      ]);
      await send('POST', '/actions', { actions: [{ type: 'key', id: 'keyboard', actions }] });
    };
    let calls = 0;
    return {
      goto: async (url) => {
        await send('POST', '/url', { url });
        // The command may return before the scripts of the page have run.
        const isLoaded = `return location.href === ${JSON.stringify(new URL(url).href)} && document.readyState === 'complete';`;
        while (!(await execute(isLoaded))) await sleep(POLL);
      },
      reload: () => send('POST', '/refresh', {}),
      close: async () => {
        await this.#inWindow(handle, async () => {
          await this.#send('DELETE', '/window');
          this.#current = '';
        });
      },
      async run(body) {
        const place = `siglipAnswers[${++calls}]`;
        const promise = `(async () => { ${body} })()`;
        await execute(`(globalThis.siglipAnswers ??= {}); ${promise}.then((text) => (${place} = text));`);
        for (const begun = Date.now(); ;) {
          const answer = await execute(`if (!globalThis.siglipAnswers) return false;
            const answer = ${place} ?? null; if (answer !== null) delete ${place}; return answer;`);
          if (answer === false)
            throw Object.assign(new Error('The page has gone to another address.'), { code: NAVIGATED });
          if (answer !== null) return answer;
          await untilNextLook(POLL, begun);
        }
      },
      handle: async (expression) => ({
        click: async () => {
          const { [ELEMENT]: id } = await execute(`return ${expression};`);
          await send('POST', `/element/${id}/click`, {});
        },
        setFiles: async (paths) => {
          // WebKit's own command does not return for an input that is not visible.
          const files = await Promise.all(paths.map((path) => toFileParts(path)));
          await send('POST', '/execute/sync', {
            script: `(${putFiles})(${expression}, ...arguments)`,
            args: [files],
          });
        },
      }),
      type,
      press: async (key) => {
        const keys = key.split('+').map((name) => KEYS[name] ?? name);
        const actions = [
          ...keys.map((value) => ({ type: 'keyDown', value })),
          ...keys.reverse().map((value) => ({ type: 'keyUp', value })),
        ];
        await send('POST', '/actions', { actions: [{ type: 'key', id: 'keyboard', actions }] });
      },
      problems: () => execute('return globalThis.siglipProblems ?? [];'),
    };
  }
}
