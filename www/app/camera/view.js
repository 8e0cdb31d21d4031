/** The page's panel of the camera. */
import { cameraOf } from '../../ui/camera.js';
import { h, sheetOf } from '../../ui/dom.js';
import { describe } from '../describe.js';
import { formatTime } from '../../ui/format.js';
import { ScoreList } from '../../ui/scores.js';
import { t } from '../../ui/translate.js';
import { announce } from '../page.js';

/** @typedef {import('../../ui/camera.js').Question} Question */

const { cameraWith, sheet } = cameraOf({ h, sheetOf, t, describe, formatTime, ScoreList });
document.adoptedStyleSheets.push(
  sheet,
  sheetOf(`
.camera { position: relative; }
.camera h3 { margin: 0; padding-inline-end: 2.5rem; font-size: 1rem; }
.camera h3:focus { outline: none; }
`),
);

/** The panel. */
export class CameraView {
  #title = h('h3', { tabIndex: -1 }, t`Camera`);
  #camera;

  /**
   * @param {object} page
   * @param {() => Promise<Question | undefined>} page.question the model, the labels and the options of the page
   * @param {(picture: File) => void} page.keep shows a picture as a card
   */
  constructor(page) {
    this.#camera = cameraWith({ ...page, announce });
    const close = h('button', { className: 'remove', type: 'button', onclick: () => this.#close() }, '×');
    close.ariaLabel = t`Close the camera`;
    this.element = h(
      'section',
      { className: 'panel camera', ariaLabel: t`Camera` },
      this.#title,
      h(
        'p',
        { className: 'hint' },
        t`Each frame is looked at here in the browser. None is kept and none is sent.`,
      ),
      this.#camera.element,
      close,
    );
  }

  /** Shows the panel and starts the camera. */
  show() {
    this.element.hidden = false;
    this.#title.focus();
    if (!this.#camera.isOn) this.#camera.start();
  }

  #close() {
    this.#camera.stop();
    this.element.hidden = true;
    document.getElementById('camera')?.focus();
  }
}
