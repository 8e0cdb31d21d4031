/** What a camera sees, classified frame by frame: for the page, and for the element that has the attribute `camera`. */

/** @typedef {import('../siglip.js').Siglip} Siglip */
/** @typedef {import('../siglip.js').Score} Score */
/** What is asked of a frame. @typedef {{siglip: Siglip, labels: import('../lib/siglip.js').Labels | undefined, options: import('../siglip.js').ScoreOptions}} Question */
/**
 * @typedef {object} Hooks
 * @property {() => Promise<Question | undefined>} question the model, the labels and the options; nothing while the model is
 *   not there
 * @property {(picture: File) => void} keep shows a picture among others
 * @property {(text: string) => void} announce has screen readers tell a change
 * @property {(video: HTMLVideoElement, scores: Score[], ms: number) => void} [answered] hears of each frame's scores
 * @property {(code: string, message: string) => void} [failed] hears why the camera has stopped
 */

/**
 * A camera, shown by `element`. `stop` may tell why.
 * @typedef {{element: HTMLElement, isOn: boolean, start: () => Promise<void>, stop: (text?: string) => void}} CameraControls
 */
/**
 * What its caller has of the interface. A bundler would move what this module imported, which is loaded later, out of the
 * script that is loaded first.
 * @typedef {Pick<typeof import('./dom.js'), 'h' | 'sheetOf'> & Pick<typeof import('./translate.js'), 't'> & Pick<typeof import('./format.js'), 'formatTime'> & {describe: (error: unknown) => {code: string, headline?: string, message: string}} & Pick<typeof import('./scores.js'), 'ScoreList'>} Interface
 */

/** Labels shown of a frame. */
const SHOWN = 8;
/** Frames over which times are averaged. */
const AVERAGED = 15;

/**
 * A camera with its controls, and what the page or the element that shows it adopts.
 * @param {Interface} ui
 * @returns {{sheet: CSSStyleSheet, cameraWith: (hooks: Hooks) => CameraControls}}
 */
export function cameraOf({ h, sheetOf, t, describe, formatTime, ScoreList }) {
  /** What the page or the element that shows a camera adopts. */
  const sheet = sheetOf(`
.camera > div { display: grid; gap: .6rem; min-width: 0; }
.camera .row { display: flex; flex-wrap: wrap; gap: .5rem; }
.camera select { flex: 1 1 12rem; width: auto; min-width: 0; font: inherit; }
.camera .live { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(16rem, 100%), 1fr)); align-items: start; }
.camera video { display: block; width: 100%; max-height: 24rem; border-radius: .6rem; background: var(--track); object-fit: contain; }
.camera :is(.hint, .scores):empty { display: none; }
.camera [hidden] { display: none; }
`);

  /** What the errors of getUserMedia mean, by their names. @type {Record<string, string>} */
  const REASONS = {
    NotAllowedError: t`The camera may not be used. Allow it for this page in the browser’s address bar or settings, then start it again.`,
    SecurityError: t`This page may not use the camera here. Open it by itself, not in a frame of another page.`,
    NotFoundError: t`There is no camera. Connect one, then start it again.`,
    OverconstrainedError: t`This camera is gone. Choose another one.`,
    NotReadableError: t`Another program has the camera, or it does not answer. Close that program, then start it again.`,
    AbortError: t`The camera has stopped by itself. Start it again.`,
  };

  /** A camera with its controls. */
  class Camera {
    #hooks;
    /** @type {MediaStream | undefined} */
    #stream;
    /** Ends the work on the present stream. */
    #run = new AbortController();
    #frozen = false;

    #video = h('video', { muted: true, playsInline: true, ariaLabel: t`What the camera sees` });
    #list = new ScoreList();
    #status = h('p', { className: 'hint' });
    #error = h('div', { className: 'error', part: 'error', role: 'alert', hidden: true });
    #cameras = h('select', { className: 'field', ariaLabel: t`Camera`, hidden: true });
    #start = button(t`Start`, () => this.start());
    #freeze = button(t`Freeze`, () => this.#toggle());
    #keep = button(t`Keep this picture`, () => this.#keepFrame());
    #stop = button(t`Stop`, () => {
      this.stop(t`The camera is off.`);
      this.#start.focus();
    });
    #live = h('div', { className: 'live', hidden: true }, this.#video, this.#list.element);
    #controls = h(
      'div',
      { className: 'row' },
      this.#start,
      this.#freeze,
      this.#keep,
      this.#stop,
      this.#cameras,
    );
    element = h('div', {}, this.#error, this.#live, this.#status, this.#controls);

    /** @param {Hooks} hooks */
    constructor(hooks) {
      this.#hooks = hooks;
      this.#cameras.addEventListener('change', () => this.start());
      this.#showControls();
    }

    /** Whether it is on. */
    get isOn() {
      return !!this.#stream;
    }

    /** Starts the camera, or the other one that is chosen. */
    async start() {
      this.stop(t`Asking for the camera …`);
      this.#error.hidden = true;
      const { signal } = (this.#run = new AbortController());
      // Nobody looks at a page that is hidden: the camera shall not go on.
      addEventListener('pagehide', () => this.stop(), { signal });
      const stopIfHidden = () => {
        if (document.hidden && this.#stream) this.stop(t`Stopped while the page was hidden.`);
      };
      document.addEventListener('visibilitychange', stopIfHidden, { signal });
      navigator.mediaDevices?.addEventListener?.('devicechange', () => this.#listCameras(), { signal });
      const chosen = this.#cameras.value;
      const video = { width: { ideal: 640 }, height: { ideal: 480 } };
      try {
        if (!navigator.mediaDevices?.getUserMedia) throw new DOMException('', 'InsecureError');
        const stream = await navigator.mediaDevices.getUserMedia({
          video: chosen ? { ...video, deviceId: { exact: chosen } } : { ...video, facingMode: 'environment' },
        });
        // Stopped or hidden while the browser asked.
        if (signal.aborted) return void stream.getTracks().forEach((track) => track.stop());
        this.#stream = stream;
        const [track] = stream.getVideoTracks();
        track.addEventListener('ended', () => this.#fail(new DOMException('', 'AbortError'), signal));
        this.#video.srcObject = stream;
        this.#frozen = false;
        this.#live.hidden = false;
        this.#showControls();
        await this.#video.play();
        await this.#listCameras();
        this.#hooks.announce(t`The camera is on.`);
        await this.#watch(signal);
      } catch (error) {
        this.#fail(error, signal);
      }
    }

    /**
     * Looks at one frame after the other. Frames that come meanwhile are not waited for: the next one is always the newest.
     * @param {AbortSignal} signal
     */
    async #watch(signal) {
      /** How long each of the last frames took. @type {number[]} */
      let times = [];
      let [since, announced] = [performance.now(), ''];
      for (;;) {
        await nextFrame(this.#video, signal);
        if (signal.aborted) return;
        if (this.#frozen) {
          times = [];
          continue;
        }
        const start = performance.now();
        const question = await this.#hooks.question();
        if (!question) {
          this.#status.textContent = t`Waiting for the model …`;
          continue;
        }
        const { siglip, labels, options } = question;
        try {
          const embedding = await siglip.embedImage(this.#video, { signal });
          const scores = await siglip.score(embedding, labels, {
            ...options,
            topK: options.topK ?? SHOWN,
            signal,
          });
          // A freeze keeps the answer to what is on show.
          if (signal.aborted || this.#frozen) continue;
          this.#list.show(scores, siglip.info);
          this.#hooks.answered?.(this.#video, scores, performance.now() - start);
          const best = scores[0]?.label ?? '';
          // Screen readers hear of a change, and not of every frame.
          if (best !== announced && performance.now() - since > 3000) {
            this.#hooks.announce((announced = best));
            since = performance.now();
          }
        } catch (error) {
          const { code } = describe(error);
          // The model was replaced: the next frame has the new one. A video may have no pixels for a moment.
          if (!signal.aborted && code !== 'aborted' && !(code === 'bad-image' && !this.#video.videoWidth))
            throw error;
          continue;
        }
        times.push(performance.now() - start);
        if (times.length > AVERAGED) times.shift();
        const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
        this.#ends.push(performance.now());
        this.#status.textContent = t`${formatTime(mean)} a frame · ${this.#rate()} frames per second`;
      }
    }

    /** When the last frames were done. @type {number[]} */
    #ends = [];

    /** Frames per second that were looked at, over the last two seconds. */
    #rate() {
      const now = performance.now();
      this.#ends = this.#ends.filter((end) => now - end < 2000);
      const [first] = this.#ends;
      const rate = (this.#ends.length - 1) / Math.max(0.001, (now - first) / 1000);
      return rate < 10 ? rate.toFixed(1) : String(Math.round(rate));
    }

    #toggle() {
      this.#frozen = !this.#frozen;
      if (this.#frozen) this.#video.pause();
      else this.#video.play().catch(() => {});
      if (this.#frozen) this.#status.textContent = t`Frozen.`;
      this.#showControls();
    }

    async #keepFrame() {
      const { videoWidth: width, videoHeight: height } = this.#video;
      if (!width) return;
      const canvas = h('canvas', { width, height });
      canvas.getContext('2d')?.drawImage(this.#video, 0, 0);
      const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
      if (blob) this.#hooks.keep(new File([blob], `camera ${timeOfDay()}.png`, { type: 'image/png' }));
    }

    /** The names are empty until the visitor has allowed the camera. */
    async #listCameras() {
      const devices = await navigator.mediaDevices.enumerateDevices();
      const cameras = devices.filter(({ kind }) => kind === 'videoinput');
      const current = this.#stream?.getVideoTracks()[0]?.getSettings().deviceId;
      this.#cameras.replaceChildren(
        ...cameras.map(({ deviceId, label }, i) =>
          h('option', { value: deviceId }, label || t`Camera ${i + 1}`),
        ),
      );
      if (current) this.#cameras.value = current;
      this.#cameras.hidden = cameras.length < 2;
    }

    /**
     * @param {unknown} error
     * @param {AbortSignal} signal of the run that has failed
     */
    #fail(error, signal) {
      if (signal.aborted) return;
      this.stop();
      const { name } = /** @type {Error} */ (error);
      // The camera that was chosen is gone: the next start takes any.
      if (name === 'OverconstrainedError') this.#cameras.replaceChildren();
      const { code, headline, message } = describe(error);
      const insecure = t`Browsers give the camera to pages with https: or on this computer only.`;
      const known = name === 'InsecureError' ? insecure : REASONS[name];
      const reason = known ?? message;
      this.#error.replaceChildren(
        h('p', {}, h('strong', {}, known ? t`No camera` : (headline ?? '')), reason),
      );
      this.#error.hidden = false;
      this.#start.focus();
      this.#hooks.failed?.(known ? 'camera' : code, reason);
    }

    /** Stops the camera, so that its light goes out. @param {string} [text] */
    stop(text = '') {
      this.#run.abort();
      this.#stream?.getTracks().forEach((track) => track.stop());
      this.#stream = undefined;
      this.#video.srcObject = null;
      this.#live.hidden = true;
      this.#list.show([]);
      this.#ends = [];
      this.#status.textContent = text;
      this.#showControls();
    }

    #showControls() {
      this.#start.hidden = !!this.#stream;
      for (const control of [this.#freeze, this.#keep, this.#stop]) control.hidden = !this.#stream;
      this.#freeze.textContent = this.#frozen ? t`Go on` : t`Freeze`;
    }
  }

  /** @param {string} text @param {() => void} onclick */
  function button(text, onclick) {
    return h('button', { className: 'button', part: 'button', type: 'button', onclick }, text);
  }

  return { sheet, cameraWith: (hooks) => new Camera(hooks) };
}

/** For a file's name. */
function timeOfDay() {
  return new Date().toTimeString().slice(0, 8).replaceAll(':', '.');
}

/**
 * Waits for the video's next frame. A video that is paused has none, so that an abort ends the wait too.
 * @param {HTMLVideoElement} video
 * @param {AbortSignal} signal
 */
function nextFrame(video, signal) {
  return new Promise((resolve) => {
    signal.addEventListener('abort', resolve, { once: true });
    const done = () => {
      signal.removeEventListener('abort', resolve);
      resolve(undefined);
    };
    if ('requestVideoFrameCallback' in video) video.requestVideoFrameCallback(done);
    else requestAnimationFrame(done);
  });
}
