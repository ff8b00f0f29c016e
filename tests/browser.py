"""Reads the built book as a reader would: in a browser, from a folder, without a network."""

import shutil
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
NOT_PAGES = {"genindex.html", "search.html", "py-modindex.html"}
"""Made by Sphinx, without content of ours."""

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
    };
}"""
"""What a page says of itself once everything in it has arrived."""


def executable():
    """Returns the path of the system's Chromium, or None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


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


def problems(html_folder, widths=(1280, 390), schemes=("light", "dark")):
    """Opens every page of the book and says what is wrong with it.

    Args:
        html_folder: The built book, `_build/html`.
        widths: Widths of the window to try, in pixels.
        schemes: Colour schemes to try.

    Returns:
        One line a fault: console and page errors, failed and outside requests, images that do not
        show, images in the text without an alternative text, pages wider than the window.
    """
    found = []
    with sync_playwright() as playwright:
        for width in widths:
            for scheme in schemes:
                with window(playwright, width, scheme) as page:
                    where = [""]
                    listen(page, lambda fault, where=where: found.append(where[0] + fault))
                    for path in pages(html_folder):
                        name = path.relative_to(Path(html_folder).resolve())
                        where[0] = f"{name} ({width} px, {scheme}): "
                        page.goto(path.as_uri(), wait_until="load")
                        seen = page.evaluate(LOOK)
                        for image in seen["images"]:
                            if image["broken"]:
                                found.append(f"{where[0]}image does not show: {image['name']}")
                            if image["unnamed"]:
                                found.append(f"{where[0]}image without alt text: {image['name']}")
                        if seen["overflow"] > 0:
                            found.append(f"{where[0]}{seen['overflow']} px wider than the window")
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
        for name, width, scheme in [
            ("wide", 1280, "light"),
            ("narrow", 390, "light"),
            ("dark", 1280, "dark"),
        ]:
            with window(playwright, width, scheme) as page:
                for path in pages(html_folder):
                    stem = "-".join(path.relative_to(Path(html_folder).resolve()).parts)
                    page.goto(path.as_uri(), wait_until="load")
                    page.evaluate(LOOK)
                    target = Path(out_folder) / f"{stem.removesuffix('.html')}-{name}.png"
                    page.screenshot(path=target, full_page=True)
                    written.append(target)
    return written
