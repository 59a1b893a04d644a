"""The built site: strict, whole, readable without the network, and every equation is one."""

import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import layerzoo
from layerzoo.cookbook.drawing import snake_case

ROOT = Path(__file__).parents[2]
KATEX = ROOT / "docs" / "assets" / "katex"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
LOADS = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "link": "href",
    "use": "href",
    "object": "data",
    "form": "action",
}
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(
        not (find_spec("mkdocs") and find_spec("material") and find_spec("mkdocstrings")),
        reason="mkdocs-material and mkdocstrings are not installed: pip install 'layerzoo[docs]'",
    ),
]


class Page(HTMLParser):
    """What a page loads, its equations and its drawings."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.equations, self.links, self.drawings = [], [], [], 0
        self._depth = 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag in LOADS and values.get(LOADS[tag]):
            self.loads.append(values[LOADS[tag]])
        self.links += [values["href"]] if tag == "a" and values.get("href") else []
        classes = (values.get("class") or "").split()
        self.drawings += tag == "svg" and "lz-drawing" in classes
        if "arithmatex" in classes:
            self.equations.append("")
            self._depth = 1

    def handle_endtag(self, tag):
        self._depth = 0

    def handle_data(self, data):
        if self._depth:
            self.equations[-1] += data


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site, built once, with every warning an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="session")
def html(site):
    """Every page by its path."""
    return {
        path.relative_to(site).as_posix(): Page(path.read_text(encoding="utf-8"))
        for path in site.rglob("*.html")
    }


def test_every_layer_has_a_page_with_a_drawing(html):
    for name, card in layerzoo.catalogue().items():
        page = f"layers/{card.family}/{snake_case(name)}"
        plots = sum((ROOT / "docs" / f"{page}.{of}.svg").is_file() for of in ("evidence", "depth"))
        assert html[f"{page}/index.html"].drawings == 2 + plots, "and the trace, and plots"
    assert html["catalogue/index.html"].drawings == len(layerzoo.catalogue())


def test_the_site_carries_no_raw_data(site):
    published = {path.relative_to(site).as_posix() for path in site.rglob("*.json")}
    assert published <= {"search/search_index.json", "tags.json"}
    assert not list(site.glob("layers/**/*.svg")), "drawings stand in their pages"


def test_pages_load_nothing_from_another_host(html):
    for path, page in html.items():
        assert page.loads, path
        for address in page.loads:
            if path != "404.html":  # served for any address, so that its own are absolute
                assert not address.startswith("/"), (path, address)
            assert not urlsplit(address).scheme, (path, address)


def test_style_sheets_load_nothing_from_another_host(site):
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        for address in re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", text):
            loaded = "".join(address)
            assert urlsplit(loaded).scheme in ("", "data"), (path.name, loaded)
            if not loaded.startswith(("data:", "#")):
                assert (path.parent / loaded.split("#")[0].split("?")[0]).is_file(), loaded


def test_links_within_raw_html_are_found_too(site, html):
    """Strict building checks links in Markdown; this one checks all of them."""
    for path, page in html.items():
        if path == "404.html":
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or not parts.path:
                continue
            target = (site / path).parent / parts.path
            assert (target / "index.html").is_file() or target.is_file(), (path, link)


def test_the_search_knows_every_layer(site):
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    titles = {entry["title"] for entry in index["docs"]}
    assert set(layerzoo.catalogue()) <= titles


@pytest.mark.skipif(shutil.which("node") is None, reason="node, which runs KaTeX, is not installed")
def test_every_equation_is_one(html, tmp_path):
    equations = [text for page in html.values() for text in page.equations]
    assert len(equations) > 10
    script = tmp_path / "check.js"
    script.write_text(
        f"const katex = require({json.dumps(str(KATEX / 'katex.min.js'))});"
        "const all = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
        "for (const text of all) {"
        "  if (!/^\\\\[([]/.test(text.trim())) throw new Error('no delimiter: ' + text);"
        "  katex.renderToString(text.trim().slice(2, -2), {throwOnError: true, strict: 'error'});"
        "}"
        "console.log(all.length);"
    )
    run = subprocess.run(
        ["node", str(script)], input=json.dumps(equations), capture_output=True, text=True
    )
    assert run.stdout.strip() == str(len(equations)), run.stderr


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def address(site):
    """Where the site is served, on this machine."""
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def browse(address, folder):
    """What a browser makes of a page, and the hosts that the page, not the browser, asks."""
    log = folder / "net.json"
    options = [
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={log}",
        "--virtual-time-budget=4000",
    ]
    command = [CHROMIUM, *QUIET, *options, "--dump-dom", address]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    events = [event.get("params", {}) for event in json.loads(log.read_text("utf-8"))["events"]]
    origin = "://".join(urlsplit(address)[:2])
    asked = {event["url"] for event in events if event.get("initiator") == origin}
    return run.stdout, {urlsplit(url).hostname for url in asked if not url.startswith("data:")}


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@needs_chromium
@pytest.mark.parametrize("path", ["", "layers/attention/self_attention/"])
def test_a_page_asks_no_other_host_and_sets_its_equations(path, address, tmp_path):
    shown, hosts = browse(f"{address}/{path}", tmp_path)
    assert hosts == {"127.0.0.1"}
    assert "lz-drawing" in shown
    assert ('class="katex-html"' in shown) == bool(path)
    assert "katex-error" not in shown


@needs_chromium
def test_a_page_that_asks_another_host_is_caught(site, address, tmp_path):
    (site / "leak.html").write_text(
        '<img src="http://leak.invalid/x.png"><script src="here.js"></script>'
    )
    _, hosts = browse(f"{address}/leak.html", tmp_path)
    (site / "leak.html").unlink()
    assert hosts == {"127.0.0.1", "leak.invalid"}
