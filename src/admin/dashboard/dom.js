// Elements without markup: `h("p", { class: "x" }, "text")`. Everything that comes from the API goes into the page as
// text nodes and attributes, never as markup, and no inline style is written, which the page's policy would refuse.

/** @typedef {Node | string | number | null | undefined | false | Child[]} Child */
/** @typedef {{[type: string]: (event: any) => void}} Handlers */
/** @typedef {{[name: string]: string | number | boolean | null | undefined | Handlers}} Attributes */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An HTML element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes | null} [attributes] `true`: there without a value; `false`, `null`: not there; `on`: handlers
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  dress(element, attributes);
  append(element, children);
  return element;
}

/**
 * The same in the SVG namespace.
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes | null} [attributes]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  dress(element, attributes);
  append(element, children);
  return element;
}

/**
 * @param {Element} element
 * @param {Attributes | null | undefined} attributes
 */
function dress(element, attributes) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "object") {
      for (const [type, handler] of Object.entries(value)) element.addEventListener(type, handler);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
}

/**
 * @param {Element} parent
 * @param {Child[]} children
 */
function append(parent, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(parent, child);
    else if (child instanceof Node) parent.append(child);
    else if (child !== null && child !== undefined && child !== false) parent.append(String(child));
  }
}

/**
 * Puts these children in the place of what is there.
 * @param {Element} parent
 * @param {...Child} children
 */
export function replace(parent, ...children) {
  parent.replaceChildren();
  append(parent, children);
}

/**
 * A text node; nothing is an empty text.
 * @param {unknown} value
 * @returns {Text}
 */
export function text(value) {
  return document.createTextNode(value === null || value === undefined ? "" : String(value));
}

/**
 * Sets a text only if it is another one, so that nothing is drawn or read aloud anew without a reason.
 * @param {Node} node
 * @param {string} value
 */
export function setText(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

/**
 * Sets the class only if it is another one.
 * @param {Element} element
 * @param {string} value
 */
export function setClass(element, value) {
  if (element.getAttribute("class") !== value) element.setAttribute("class", value);
}
