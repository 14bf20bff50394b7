// Helpers of all pages: elements and numbers of things.

/** As a default value, it declares a parameter of any type. */
export const any = /** @type {any} */ (undefined);

/**
 * Creates an element. Text only ever becomes a text node, never markup.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {Record<string, any>} properties @param {(Node | string)[]} children
 */
export const h = (tag, properties = {}, ...children) => {
	const element = Object.assign(document.createElement(tag), properties);
	element.append(...children);
	return element;
};

/** @param {string} selector @returns {any} the element, which the page always has */
export const $ = (selector, root = /** @type {ParentNode} */ (document)) =>
	root.querySelector(selector);

/** @param {number} n @param {string} one @param {string} many */
export const count = (n, one, many = one + "s") => `${n} ${n === 1 ? one : many}`;
