#!/usr/bin/env python3
"""The page of `hauberk audit --html` in a browser without a screen: on a telephone and on a desk, light and dark, on
paper, and as who cannot see it or has no mouse meets it. This machine is what it tells of. Prints TAP.

What is asked of it is measured here, by WCAG 2.2 (https://www.w3.org/TR/WCAG22/, the criteria are named). No Debian package
has axe-core; where HAUBERK_AXE names its axe.min.js, that is asked as well and has to find nothing."""
import base64
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
RELEASE = pathlib.Path(os.environ["HAUBERK_RELEASE"])
WINDOWS = {"telephone": (390, 844), "narrowest": (320, 640), "desk": (1280, 900)}
CONTRAST, CONTRAST_LARGE = 4.5, 3.0             # 1.4.3
TARGET = 24                                     # 2.5.8, CSS pixels
A4 = (595, 842)                                 # points

# The contrast of each text with what it stands on: [ratio, font size in px, weight, text].
CONTRASTS = """
function channels(colour) { return colour.match(/[\\d.]+/g).map(Number); }
function light(colour) {
  const [r, g, b] = colour.map(c => c / 255).map(c => c <= 0.03928 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function paper(element) {
  for (; element; element = element.parentElement) {
    const colour = channels(getComputedStyle(element).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour.slice(0, 3);
  }
  return [255, 255, 255];
}
const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const text = walker.currentNode.nodeValue.trim(), element = walker.currentNode.parentElement;
  if (!text || !element.getClientRects().length) continue;
  const style = getComputedStyle(element);
  const [a, b] = [light(channels(style.color)), light(paper(element))].sort((x, y) => y - x);
  found.push([(a + 0.05) / (b + 0.05), parseFloat(style.fontSize), parseInt(style.fontWeight), text.slice(0, 60)]);
}
return found;
"""
# What the page's structure tells who listens to it: a list of what is wrong.
STRUCTURE = """
const wrong = [], all = selector => [...document.querySelectorAll(selector)];
if (!document.documentElement.lang) wrong.push('3.1.1: no language');
if (!document.title.trim()) wrong.push('2.4.2: no title');
if (all('main').length !== 1) wrong.push('1.3.1: not one main part');
if (all('h1').length !== 1) wrong.push('1.3.1: not one first heading');
let level = 0;
for (const heading of all('h1, h2, h3, h4, h5, h6')) {
  const own = Number(heading.tagName[1]);
  if (own > level + 1) wrong.push(`1.3.1: ${heading.tagName} after H${level}: ${heading.textContent.slice(0, 60)}`);
  if (!heading.textContent.trim()) wrong.push('2.4.6: an empty heading');
  level = own;
}
const ids = all('[id]').map(element => element.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push(`4.1.1: twice the id ${id}`);
for (const link of all('a[href]')) {
  if (!link.textContent.trim()) wrong.push('2.4.4: a link without words');
  const target = link.getAttribute('href');
  if (target.startsWith('#') && !document.getElementById(target.slice(1))) wrong.push(`a link to nothing: ${target}`);
}
for (const table of all('table')) {
  if (!table.querySelector('th')) wrong.push('1.3.1: a table without headings');
  for (const th of table.querySelectorAll('th')) if (!th.getAttribute('scope')) wrong.push('1.3.1: a heading without scope');
}
for (const list of all('dl')) for (const child of list.children)
  if (!['DT', 'DD', 'DIV'].includes(child.tagName)) wrong.push(`1.3.1: ${child.tagName} in a list of terms`);
for (const part of all('body *')) {
  const style = getComputedStyle(part);
  if (/auto|scroll/.test(style.overflowX) && part.scrollWidth > part.clientWidth && part.tabIndex < 0)
    wrong.push(`2.1.1: scrolls, but not by keys: ${part.tagName}`);
}
return wrong;
"""
SMALL_TARGETS = """
return [...document.querySelectorAll('a[href], summary, button')].filter(one => {
  const box = one.getBoundingClientRect();
  return one.parentElement.textContent.trim() === one.textContent.trim() && box.height < arguments[0];
}).map(one => one.textContent.slice(0, 60));
"""
# Where the keys are, and whether one sees it.
FOCUSED = """
const style = getComputedStyle(document.activeElement);
return [document.activeElement.hash, style.outlineStyle !== 'none' || style.boxShadow !== 'none'];
"""
FOREIGN = "return performance.getEntriesByType('resource').map(one => one.name);"
WIDE = "return document.documentElement.scrollWidth - document.documentElement.clientWidth;"

failures = 0


def check(name, wrong):
    """One line of TAP; `wrong` is a list of what is."""
    global failures
    failures += bool(wrong)
    print(f"{'not ok' if wrong else 'ok'} - {name}", flush=True)
    for one in wrong[:20]:
        print(f"#   {one}")


@contextlib.contextmanager
def browser(folder):
    """A Chromium without a screen. Where we are root its own sandbox does not go; it is shown one file of ours."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for option in ("--headless=new", "--disable-gpu", "--no-first-run", "--no-proxy-server", f"--user-data-dir={folder}/profile",
                   "--host-resolver-rules=MAP * ~NOTFOUND", *(["--no-sandbox"] if os.getuid() == 0 else [])):
        options.add_argument(option)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver"), log_path=f"{folder}/log"))
    try:
        yield driver
    finally:
        driver.quit()


def window(driver, width, height, scheme):
    """The size and the colours that a person has."""
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})


def faint(driver):
    """Texts that are hard to read."""
    told = []
    for ratio, size, weight, text in driver.execute_script(CONTRASTS):
        large = size >= 24 or (size >= 18.66 and weight >= 700)
        if ratio < (CONTRAST_LARGE if large else CONTRAST):
            told.append(f"1.4.3: {ratio:.2f}: {text}")
    return told


def by_axe(driver):
    """What axe-core finds."""
    driver.execute_script(pathlib.Path(os.environ["HAUBERK_AXE"]).read_text())
    found = driver.execute_async_script("const done = arguments[0]; axe.run(document).then(done);")
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found["violations"]]


def by_keys(driver):
    """Links of the first things that the tab key does not reach, or reaches unseen."""
    from selenium.webdriver.common.keys import Keys
    wanted = driver.execute_script("return [...document.querySelectorAll('main ol a')].map(one => one.hash);")
    reached = {}
    for _ in wanted:
        driver.switch_to.active_element.send_keys(Keys.TAB)
        target, seen = driver.execute_script(FOCUSED)
        reached[target] = seen
    return [f"2.4.7: {one}" for one in wanted if not reached.get(one)]

def paper(driver):
    """What is wrong with the printed page."""
    printed = base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    boxes = re.findall(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)\s*\]", printed)
    wrong = [f"{width.decode()} x {height.decode()}" for width, height in boxes
             if abs(float(width) - A4[0]) > 1 or abs(float(height) - A4[1]) > 1]
    print(f"# measured: {len(boxes)} pages of A4", flush=True)
    return wrong or ([] if boxes else ["no page"])


def main():
    for program, package in (("chromium", "chromium"), ("chromedriver", "chromium-driver")):
        if not shutil.which(program):
            print(f"ok - the page # SKIP needs the package {package}")
            return
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        page = folder / "page.html"
        subprocess.run([RELEASE / "src" / "hauberk", "--state", folder / "state", "audit", "--html", page], stdout=subprocess.DEVNULL,
                       check=False, timeout=120)
        with browser(folder) as driver:
            for where, (width, height) in WINDOWS.items():
                for scheme in ("light", "dark"):
                    window(driver, width, height, scheme)
                    driver.get(page.as_uri())
                    told = f"on a {where}, {scheme}" if where != "narrowest" else f"320 pixels wide, {scheme}"
                    wide = driver.execute_script(WIDE)
                    check(f"{told}: nothing is cut off (1.4.10)", [f"{wide} pixels too wide"] if wide > 0 else [])
                    check(f"{told}: every text can be read (1.4.3)", faint(driver))
                    if os.environ.get("HAUBERK_AXE"):
                        check(f"{told}: axe-core finds nothing", by_axe(driver))
            check("its structure can be listened to", driver.execute_script(STRUCTURE))
            check("what is to be touched is large enough (2.5.8)", driver.execute_script(SMALL_TARGETS, TARGET))
            check("it asks for nothing but itself", driver.execute_script(FOREIGN))
            check("it has no scripts", ["a script"] if "<script" in page.read_text() else [])
            check("the first things are reached by keys, and that is seen (2.1.1, 2.4.7)", by_keys(driver))
            check("it prints on A4", paper(driver))


main()
sys.exit(1 if failures else 0)
