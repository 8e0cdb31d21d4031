import { DEFAULT_TEMPLATE } from '../lib/parameters.js';
import { splitLabels, unique } from '../ui/labels.js';
import { ModelAttributes, assign, modelAttributes, numberOf, textOf } from './model-attributes.js';

/** The attributes of <siglip-classifier>, each as a property. */
export class Attributes extends ModelAttributes {
  static observedAttributes = [
    ...modelAttributes,
    ...['labels', 'label-set', 'template', 'threshold', 'top-k', 'scale', 'bias', 'relative', 'classes'],
    ...['src', 'loading', 'multiple', 'camera', 'label-source', 'name', 'required', 'disabled'],
  ];

  /** The attribute separates them by commas. @returns {string[]} */
  get labels() {
    return splitLabels(this.getAttribute('labels') ?? '');
  }
  set labels(value) {
    this.setAttribute('labels', unique(value).join(', '));
  }

  /** The URL of a JSON file of labels, for an element without labels of its own. @returns {string | undefined} */
  get labelSource() {
    return textOf(this, 'label-source');
  }
  set labelSource(value) {
    assign(this, 'label-source', value);
  }

  /** Which of a bundle's sets of labels. @returns {string | undefined} */
  get labelSet() {
    return textOf(this, 'label-set');
  }
  set labelSet(value) {
    assign(this, 'label-set', value);
  }

  /** The sentence around each label, which replaces `{}`; several are separated by `|`. */
  get template() {
    return this.getAttribute('template') || DEFAULT_TEMPLATE;
  }
  set template(value) {
    this.setAttribute('template', value);
  }

  /** The URL of classes taught by example, which take the place of the labels. */
  get classes() {
    return this.getAttribute('classes') ?? '';
  }
  set classes(value) {
    this.setAttribute('classes', value);
  }

  /** The lowest probability of a label that is shown. @returns {number | undefined} */
  get threshold() {
    return numberOf(this, 'threshold');
  }
  set threshold(value) {
    assign(this, 'threshold', value);
  }

  /** The most labels that are shown. @returns {number | undefined} */
  get topK() {
    return numberOf(this, 'top-k');
  }
  set topK(value) {
    assign(this, 'top-k', value);
  }

  /** The page's own factor of the model's scale. @returns {number | undefined} */
  get scale() {
    return numberOf(this, 'scale');
  }
  set scale(value) {
    assign(this, 'scale', value);
  }

  /** The page's own summand of the model's bias. @returns {number | undefined} */
  get bias() {
    return numberOf(this, 'bias');
  }
  set bias(value) {
    assign(this, 'bias', value);
  }

  /** Whether each label's share among all labels is shown, in place of its own probability. */
  get relative() {
    return this.hasAttribute('relative');
  }
  set relative(value) {
    this.toggleAttribute('relative', value);
  }

  /** The URL of an image. */
  get src() {
    return this.getAttribute('src') ?? '';
  }
  set src(value) {
    this.setAttribute('src', value);
  }

  /** Whether several images may be shown. */
  get multiple() {
    return this.hasAttribute('multiple');
  }
  set multiple(value) {
    this.toggleAttribute('multiple', value);
  }

  /** Whether a camera is offered, whose frames are scored as they come. */
  get camera() {
    return this.hasAttribute('camera');
  }
  set camera(value) {
    this.toggleAttribute('camera', value);
  }

  /** The name under which a form sends the best label. */
  get name() {
    return this.getAttribute('name') ?? '';
  }
  set name(value) {
    this.setAttribute('name', value);
  }

  /** Whether a form cannot be sent before a picture has an answer. */
  get required() {
    return this.hasAttribute('required');
  }
  set required(value) {
    this.toggleAttribute('required', value);
  }

  /** Whether the element takes no pictures, and its form does not send it. */
  get disabled() {
    return this.hasAttribute('disabled');
  }
  set disabled(value) {
    this.toggleAttribute('disabled', value);
  }
}
