// Elements of the page. Text is always text: nothing here takes markup.

/** Return a new element; data-, aria- and role are attributes, everything else a property. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (/^(data-|aria-|role$|for$|colspan$)/.test(key)) made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

/** Return the element with this id. */
export function at(id) {
  return document.getElementById(id);
}

/** Write a text where it is another one, which is all that a screen reader is to hear of. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Return a link to another site that tells it nothing, or nothing unless it leads to http or https. */
export function linkOut(url, text) {
  if (!/^https?:\/\//i.test(url)) return null;
  return element("a", { href: url, rel: "noopener noreferrer", target: "_blank", textContent: text, title: url });
}

/** Return a table's part by its role, for tables that are laid out in another way than HTML's own. */
export function part(role, className, ...children) {
  return element("div", { role, className }, ...children);
}
