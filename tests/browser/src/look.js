// Returns a list of what is wrong with the page, in words; the numbers are WCAG 2.2's.
const problems = [];
const wrong = (is, what) => { if (is) problems.push(what); };
const all = (selector) => [...document.querySelectorAll(selector)];
const seen = (element) => element.checkVisibility() && element.getClientRects().length > 0;
const shown = (element) => `<${element.tagName.toLowerCase()}> "${element.textContent.trim().slice(0, 40)}"`;

// 3.1.1, 2.4.2
wrong(!document.documentElement.lang, "3.1.1: no language");
wrong(!document.title.trim(), "2.4.2: no title");

// 1.3.1, 2.4.1: one main landmark, headings that skip no level, unique ids.
wrong(all("main").length !== 1, `1.3.1: ${all("main").length} main landmarks`);
const levels = all("h1, h2, h3, h4, h5, h6").filter(seen).map((heading) => Number(heading.tagName[1]));
wrong(levels.filter((level) => level === 1).length !== 1, "1.3.1: not one h1");
levels.reduce((before, level) => {
  wrong(level > before + 1, `1.3.1: h${level} after h${before}`);
  return level;
}, 0);
const ids = all("[id]").map((element) => element.id);
wrong(new Set(ids).size !== ids.length, "1.3.1: an id twice");
for (const element of all("[aria-labelledby], [aria-describedby]")) {
  const to = [element.getAttribute("aria-labelledby"), element.getAttribute("aria-describedby")];
  for (const id of to.filter(Boolean).join(" ").split(" ")) {
    wrong(!document.getElementById(id), `1.3.1: ${shown(element)} refers to ${id}, which is not there`);
  }
}
for (const list of all("ul")) {
  wrong([...list.children].some((item) => item.tagName !== "LI"), "1.3.1: a list of what are no items");
}

// 1.3.1, 3.3.2: every field has a label.
for (const field of all("input:not([type=hidden]), select, textarea")) {
  wrong(!field.labels.length && !field.getAttribute("aria-label"), `3.3.2: ${field.name} has no label`);
}

// 2.5.8: controls are large enough to be hit.
for (const control of all("button")) {
  const { width, height } = control.getBoundingClientRect();
  wrong(width < 24 || height < 24, `2.5.8: ${shown(control)} is ${width} by ${height}`);
}

// 1.4.10: nothing needs scrolling sideways.
const width = document.documentElement.clientWidth;
wrong(document.documentElement.scrollWidth > width, `1.4.10: ${document.documentElement.scrollWidth} wide`);
for (const element of all("body *").filter(seen)) {
  const { left, right } = element.getBoundingClientRect();
  wrong(left < -0.5 || right > width + 0.5, `1.4.10: ${shown(element)} sticks out`);
}

// 1.4.3, 1.4.11: contrast of texts, of the edges of buttons, and of pictures.
const parse = (color) => {
  const [red, green, blue, alpha = 1] = color.match(/[\d.]+/g).map(Number);
  return { rgb: [red, green, blue], alpha };
};
const luminance = (rgb) => {
  const [red, green, blue] = rgb.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
const contrast = (one, other) => {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const { rgb, alpha } = parse(getComputedStyle(at).backgroundColor);
    if (alpha === 1) return rgb;
  }
  return [255, 255, 255];
};
const enough = (element, color, on, least, what) => {
  const ratio = contrast(parse(color).rgb, on);
  wrong(ratio < least, `${what}: ${shown(element)} has ${ratio.toFixed(2)} to 1`);
};
for (const element of all("body *").filter(seen)) {
  const style = getComputedStyle(element);
  const has = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (has) enough(element, style.color, ground(element), 4.5, "1.4.3");
  if (element.tagName === "BUTTON" && parse(style.borderTopColor).alpha > 0) {
    enough(element, style.borderTopColor, ground(element.parentElement), 3, "1.4.11");
  }
  if (element.tagName === "svg") enough(element, style.stroke, ground(element), 3, "1.4.11");
}
return problems;
