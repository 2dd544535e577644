// One moment under the pointer, shared by the charts of a page: where one is looked at, all show what was then.

/** @typedef {(at: number | null) => void} Listener */

export class Cursor {
  constructor() {
    /** @type {number | null} */
    this.at = null;
    /** @type {Set<Listener>} */
    this.listeners = new Set();
  }

  /** @param {number | null} at */
  set(at) {
    if (at === this.at) return;
    this.at = at;
    for (const listener of this.listeners) listener(at);
  }

  /**
   * @param {Listener} listener
   * @returns {() => void} ends it
   */
  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

/** @returns {Cursor} */
export function sharedCursor() {
  return new Cursor();
}

/**
 * Moves a cursor by pointer and by keys over an element.
 * @param {HTMLElement} element that can have the focus
 * @param {Cursor} cursor
 * @param {{at: (x: number) => number | null, step: (from: number | null, steps: number) => number | null}} where
 *   `at`: what lies at a pixel of the element; `step`: so many samples further, ±Infinity for the ends
 */
export function steer(element, cursor, where) {
  const point = (/** @type {PointerEvent} */ event) => {
    cursor.set(where.at(event.clientX - element.getBoundingClientRect().left));
  };
  element.addEventListener("pointerdown", point);
  element.addEventListener("pointermove", point);
  element.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse") cursor.set(null);
  });
  element.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape" && cursor.at !== null) cursor.set(null);
    else {
      const steps = STEPS[event.key];
      if (steps === undefined) return;
      cursor.set(where.step(cursor.at, event.shiftKey ? steps * 10 : steps));
    }
    event.preventDefault();
  });
}

/** @type {Record<string, number | undefined>} */
const STEPS = {
  ArrowLeft: -1,
  ArrowDown: -1,
  ArrowRight: 1,
  ArrowUp: 1,
  PageDown: -10,
  PageUp: 10,
  Home: -Infinity,
  End: Infinity,
};
