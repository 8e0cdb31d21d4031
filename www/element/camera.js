/** The camera of an element that has the attribute `camera`. */
import { cameraOf } from '../ui/camera.js';

/**
 * Puts a button for the camera beside the others, which opens it.
 * @param {Parameters<typeof cameraOf>[0]} ui
 * @param {HTMLElement} element
 * @param {Element} buttons where the others are
 * @param {import('../ui/camera.js').Hooks & {load: () => void}} hooks `load` is called when the visitor opens the camera
 * @returns {(isOffered: boolean) => void} shows the button, or takes it away and stops the camera
 */
export function offerCamera(ui, { shadowRoot }, buttons, hooks) {
  const { h, t } = ui;
  const { cameraWith, sheet } = cameraOf(ui);
  const camera = cameraWith(hooks);
  const place = h('div', { className: 'camera', hidden: true }, camera.element);
  const button = h('button', { part: 'button', type: 'button' }, t`Camera`);
  button.onclick = () => {
    place.hidden = false;
    hooks.load();
    if (!camera.isOn) camera.start();
  };
  shadowRoot?.adoptedStyleSheets.push(sheet);
  buttons.append(button);
  buttons.after(place);
  return (isOffered) => {
    button.hidden = !isOffered;
    if (isOffered) return;
    camera.stop();
    place.hidden = true;
  };
}
