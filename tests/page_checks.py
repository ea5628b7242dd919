"What every page in a browser must hold: text that can be read, controls that have names."
import re

UNNAMED = re.compile(r'\s*- (button|textbox|combobox|slider|checkbox|radio|tab|link|spinbutton)( \[[^]]*\])*:?$')   # in the tree of accessibility

def unnamed(page):
    "Controls that nobody is told the name of"
    return [l for l in page.locator('body').aria_snapshot().splitlines() if UNNAMED.match(l)]

# text whose contrast is below 4.5:1
FAINT = """() => {
  const lum = c => c.slice(0, 3).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
  const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const colour = s => { pen.clearRect(0, 0, 1, 1); pen.fillStyle = s; pen.fillRect(0, 0, 1, 1); const d = pen.getImageData(0, 0, 1, 1).data; return [...d.slice(0, 3), d[3] / 255] };
  const behind = e => { let c = [0, 0, 0, 0];
    for (; e && c[3] < .99; e = e.parentElement) { const b = colour(getComputedStyle(e).backgroundColor), k = (1 - c[3]) * b[3];
      if (k) c = [0, 1, 2].map(i => (c[i] * c[3] + b[i] * k) / (c[3] + k)).concat(c[3] + k) } return c };
  const found = new Set(), walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) { const e = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || !e.checkVisibility({checkOpacity: true, checkVisibilityCSS: true}) || e.closest('[disabled]')) continue;
    const [a, b] = [lum(colour(getComputedStyle(e).color)), lum(behind(e))];
    if ((Math.max(a, b) + .05) / (Math.min(a, b) + .05) < 4.5) found.add(walk.currentNode.textContent.trim().slice(0, 40)) }
  return [...found] }"""
