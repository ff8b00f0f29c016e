"""Reads the built book as a reader would: in a browser, from a folder, without a network."""

from contextlib import contextmanager
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from cxrlib.pages.printed import browser as executable

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
NOT_PAGES = {"genindex.html", "search.html", "py-modindex.html"}
"""Made by Sphinx, without content of ours."""

WINDOWS = {
    "wide": (1280, "light", {}),
    "narrow": (390, "light", {"rules": {"color-contrast": {"enabled": False}}}),
    "dark": (1280, "dark", {"runOnly": ["color-contrast"]}),
}
"""Windows that every page is opened in: width in pixels, colour scheme, and what is asked of axe
there. Colours hang on the scheme alone and all else on the width alone, so nothing is asked twice:
contrast takes most of axe's time."""

LOOK = """async () => {
    const images = Array.from(document.images).filter(image => image.hasAttribute("src"));
    for (const image of images) { image.loading = "eager"; }
    const loading = images.filter(image => !image.complete).map(image => new Promise(done => {
        image.onload = image.onerror = done;
    }));
    const enough = new Promise(done => setTimeout(done, 10000));
    await Promise.race([Promise.all([...loading, document.fonts.ready]), enough]);
    const root = document.documentElement;
    return {
        images: images.map(image => ({
            name: image.src.startsWith("data:") ? "data:" : image.src.split("/").pop(),
            broken: !image.complete || image.naturalWidth === 0,
            unnamed: !image.alt.trim() && image.closest("article") !== null,
        })),
        overflow: Math.max(root.scrollWidth, document.body.scrollWidth) - root.clientWidth,
        headless: document.querySelectorAll("article table tbody tr:not(:has(th))").length,
    };
}"""
"""What a page says of itself once everything in it has arrived."""

ONE_OF_EACH = """() => {
    const looks = new Set();
    for (const one of document.querySelectorAll("a[href], button, summary, select, label")) {
        const { color, fontSize } = getComputedStyle(one);
        const look = [one.tagName, one.className, one.parentElement.className, color, fontSize];
        if (!looks.has(look.join())) one.dataset.look = looks.add(look.join()).size;
    }
}"""
"""Marks one of all links and buttons that look alike."""


def pages(html_folder):
    """Returns the book's pages, without those that Sphinx makes by itself."""
    found = sorted(Path(html_folder).resolve().rglob("*.html"))
    return [page for page in found if page.name not in NOT_PAGES and "_static" not in page.parts]


@contextmanager
def window(playwright, width, scheme):
    """Opens a browser and yields a page of that width in that colour scheme."""
    browser = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
    try:
        viewport = {"width": width, "height": 900}
        context = browser.new_context(viewport=viewport, color_scheme=scheme)
        # The reader's choice of scheme, as the theme remembers it.
        context.add_init_script(f"localStorage.setItem('mode', '{scheme}')")
        yield context.new_page()
    finally:
        browser.close()


def listen(page, note):
    """Calls `note` with one line for everything that goes wrong while the page loads."""
    page.on("console", lambda m: note(f"console error: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda error: note(f"page error: {error}"))

    def failed(request):
        if request.failure != "net::ERR_ABORTED":  # the icon of a page that we have left
            note(f"failed request: {request.url}")

    def asked(request):
        if not request.url.startswith(("file:", "data:", "blob:")):
            note(f"outside request: {request.url}")

    page.on("requestfailed", failed)
    page.on("request", asked)


def violations(page, context=None, **options):
    """Returns a line for each element of the page that breaks a rule of axe's."""
    options |= {"resultTypes": ["violations"], "preload": False}  # it may ask a folder for nothing
    found = Axe().run(page, context, options).response
    return [
        f"{rule['id']}: {node['target']}: {node['failureSummary'].splitlines()[-1].strip()}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def pale_under_the_pointer(page):
    """Returns a line for each kind of link or button that is hard to read under the pointer."""
    page.evaluate(ONE_OF_EACH)
    devtools = page.context.new_cdp_session(page)
    devtools.send("DOM.enable")
    devtools.send("CSS.enable")
    root = devtools.send("DOM.getDocument", {"depth": 0})["root"]["nodeId"]
    wanted = {"nodeId": root, "selector": "[data-look]"}
    for node in devtools.send("DOM.querySelectorAll", wanted)["nodeIds"]:
        forced = {"nodeId": node, "forcedPseudoClasses": ["hover"]}
        devtools.send("CSS.forcePseudoState", forced)
    page.evaluate("document.getAnimations().forEach(one => one.finish())")
    found = violations(page, "[data-look]", runOnly=["color-contrast"])
    devtools.detach()  # and no pointer is anywhere
    return [f"under the pointer, {line}" for line in found]


def faults(page, asked):
    """Returns a line for each fault of a page that has arrived; `asked` as in `WINDOWS`."""
    seen = page.evaluate(LOOK)
    found = [f"image does not show: {one['name']}" for one in seen["images"] if one["broken"]]
    found += [f"image without alt text: {one['name']}" for one in seen["images"] if one["unnamed"]]
    if seen["overflow"] > 0:
        found.append(f"{seen['overflow']} px wider than the window")
    if seen["headless"]:
        found.append(f"{seen['headless']} rows of tables without a header")
    found += violations(page, **asked)
    return found if "rules" in asked else found + pale_under_the_pointer(page)


def problems(html_folder):
    """Opens every page of the book in each of `WINDOWS` and says what is wrong with it.

    Args:
        html_folder: The built book, `_build/html`.

    Returns:
        One line a fault: console and page errors, failed and outside requests, images that do not
        show, images in the text without an alternative text, rows of tables without a header,
        pages wider than the window, and whatever breaks a rule of axe's, which looks at links and
        buttons under the pointer too.
    """
    found = []
    with sync_playwright() as playwright:
        for width, scheme, asked in WINDOWS.values():
            with window(playwright, width, scheme) as page:
                where = [""]
                listen(page, lambda fault, where=where: found.append(where[0] + fault))
                for path in pages(html_folder):
                    name = path.relative_to(Path(html_folder).resolve())
                    where[0] = f"{name} ({width} px, {scheme}): "
                    page.goto(path.as_uri(), wait_until="load")
                    found.extend(where[0] + fault for fault in faults(page, asked))
    return found


def screenshots(html_folder, out_folder):
    """Writes a picture of every whole page: wide and narrow in light, wide in dark.

    Args:
        html_folder: The built book, `_build/html`.
        out_folder: Where the PNG files go; made when missing.

    Returns:
        The paths written.
    """
    written = []
    Path(out_folder).mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        for name, (width, scheme, _) in WINDOWS.items():
            with window(playwright, width, scheme) as page:
                for path in pages(html_folder):
                    stem = "-".join(path.relative_to(Path(html_folder).resolve()).parts)
                    page.goto(path.as_uri(), wait_until="load")
                    page.evaluate(LOOK)
                    target = Path(out_folder) / f"{stem.removesuffix('.html')}-{name}.png"
                    page.screenshot(path=target, full_page=True)
                    written.append(target)
    return written
