// Names of owners, agreements and jobs: shown short, copied whole.
import { at, element } from "./dom.js";

const LONG = 26, HEAD = 12, TAIL = 8;
const TOLD_MILLISECONDS = 1500;

/** Return a name cut in its middle, where it says least. */
export function cut(name) {
  const characters = [...name];
  if (characters.length <= LONG) return name;
  return `${characters.slice(0, HEAD).join("")}…${characters.slice(-TAIL).join("")}`;
}

/** Return a button that shows a name and copies it. */
export function copied(name, what) {
  return element("button", {
    type: "button", className: "name", textContent: cut(name), title: `${name}\nClick to copy`,
    "data-copy": name, "aria-label": `${what} ${name}, copy`,
  });
}

/** Return a small button that copies something that is shown beside it. */
export function copying(text, what) {
  return element("button", { type: "button", className: "copy", title: what, "data-copy": text, "aria-label": what });
}

/** Have every such button copy, wherever it is made. */
export function listenForCopies() {
  document.addEventListener("click", async event => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const isDone = await copy(button.dataset.copy);
    at("said").textContent = isDone ? "Copied" : "The browser does not let this page copy";
    button.classList.toggle("copied", isDone);
    setTimeout(() => button.classList.remove("copied"), TOLD_MILLISECONDS);
  });
}

// Without TLS there is no clipboard to write to, but a selection can be copied.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element("textarea", { value: text, className: "unseen", readOnly: true });
    document.body.append(area);
    area.select();
    const isDone = document.execCommand("copy");
    area.remove();
    return isDone;
  }
}
