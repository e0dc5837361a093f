"""Opens pages in a browser without a window, and fails on what a reader would stumble over.

Each page is opened 1280 and 390 pixels wide, light and dark. What fails: an error or exception in the console; something that
is fetched; a body wider than the window; a violation of axe-core's rules that is serious or critical. Screenshots go to
target/report/.

Needs: Chromium (Debian: apt-get install chromium), and in the Python environment `pip install websocket-client`. axe-core
(MPL-2.0) is fetched from the npm registry into target/report/, is only used to check, and is never committed.

Use: python report_check.py FILE…
"""
import base64
import io
import json
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request

import websocket

AXE = "https://registry.npmjs.org/axe-core/-/axe-core-4.10.2.tgz"
FOLDER = pathlib.Path(__file__).resolve().parents[2] / "target" / "report"
WIDTHS = [1280, 390]
SCHEMES = ["light", "dark"]
IMPACTS = ["serious", "critical"]
# A picture of a longer page is cut.
TALLEST = 16_000


class Browser:
    """A browser, spoken to over the DevTools protocol."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="report-check-")
        command = [
            "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
            "--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={self.profile}", "about:blank",
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port = self.port()
        targets = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list"))
        page = next(target for target in targets if target["type"] == "page")
        self.socket = websocket.create_connection(page["webSocketDebuggerUrl"], timeout=120)
        self.last, self.events = 0, []
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.send(f"{domain}.enable")
        # The page forbids all scripts; ours is not its own.
        self.send("Page.setBypassCSP", enabled=True)

    def port(self):
        """The port that the browser chose."""
        for _ in range(300):
            chosen = pathlib.Path(self.profile, "DevToolsActivePort")
            if chosen.exists() and (lines := chosen.read_text().split()):
                return int(lines[0])
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        sys.exit("chromium did not start")

    def send(self, method, **parameters):
        """Asks, and gives the answer; events on the way are kept."""
        self.last += 1
        self.socket.send(json.dumps({"id": self.last, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.last:
                if "error" in message:
                    sys.exit(f"{method}: {message['error']}")
                return message["result"]
            if "method" in message:
                self.events.append(message)

    def evaluate(self, expression):
        """The value of an expression in the page."""
        result = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            sys.exit(f"{expression[:80]}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def open(self, address, width, scheme):
        """Opens a page of that width, in that scheme."""
        self.events = []
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self.send("Emulation.setEmulatedMedia", media="screen", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.send("Page.navigate", url=address)
        for _ in range(300):
            if self.evaluate("document.readyState") == "complete":
                return
            time.sleep(0.1)
        sys.exit(f"{address} did not load")

    def screenshot(self, path, width):
        """The whole page."""
        height = min(self.evaluate("document.documentElement.scrollHeight"), TALLEST)
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        found = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(found["data"]))

    def close(self):
        """Ends it."""
        self.socket.close()
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)


def axe():
    """The source of axe-core, fetched once."""
    path = FOLDER / "axe.min.js"
    if not path.exists():
        archive = tarfile.open(fileobj=io.BytesIO(urllib.request.urlopen(AXE).read()))
        path.write_bytes(archive.extractfile("package/axe.min.js").read())
    return path.read_text()


def said(events, address):
    """What the console said, and what was fetched besides the page."""
    problems = []
    for event in events:
        method, what = event["method"], event["params"]
        if method == "Runtime.exceptionThrown":
            problems.append(f"exception: {what['exceptionDetails'].get('text')}")
        elif method == "Runtime.consoleAPICalled" and what["type"] in ["error", "assert"]:
            problems.append(f"console: {what['args']}")
        elif method == "Log.entryAdded" and what["entry"]["level"] == "error":
            problems.append(f"console: {what['entry']['text']}")
        elif method == "Network.requestWillBeSent" and what["request"]["url"] != address:
            problems.append(f"fetched: {what['request']['url'][:120]}")
    return problems


def check(browser, source, path, width, scheme):
    """The problems of a page."""
    address = path.resolve().as_uri()
    browser.open(address, width, scheme)
    problems = said(browser.events, address)
    wide = browser.evaluate(
        "(() => { const width = document.documentElement.clientWidth; const found = [];"
        "if (document.documentElement.scrollWidth > width) for (const e of document.querySelectorAll('body *'))"
        "  if (e.getBoundingClientRect().right > width + 1 && !e.closest('.wide')) found.push(e.tagName + '.' + (e.getAttribute('class') || ''));"
        "return document.documentElement.scrollWidth > width ? [document.documentElement.scrollWidth, ...found.slice(0, 5)] : []; })()"
    )
    if wide:
        problems.append(f"wider than the window: {wide}")
    browser.screenshot(FOLDER / f"{path.resolve().parent.name}-{path.stem}-{width}-{scheme}.png", width)
    # What is folded is read as well.
    browser.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
    if browser.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        problems.append("wider than the window when all is unfolded")
    browser.evaluate(source + "; 0")
    found = browser.evaluate("axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)")
    for violation in found:
        node = violation["nodes"][0]
        text = f"{violation['impact']}: {violation['id']} ({len(violation['nodes'])}): {node['html'][:160]} {node['failureSummary'][:300]}"
        if violation["impact"] in IMPACTS:
            problems.append(text)
        else:
            print(f"  note: {text}")
    browser.screenshot(FOLDER / f"{path.resolve().parent.name}-{path.stem}-{width}-{scheme}-open.png", width)
    return problems


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    missing = [name for name in sys.argv[1:] if not pathlib.Path(name).is_file()]
    if missing:
        sys.exit(f"no such file: {', '.join(missing)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    source, failed = axe(), False
    browser = Browser()
    try:
        for path in map(pathlib.Path, sys.argv[1:]):
            for width in WIDTHS:
                for scheme in SCHEMES:
                    problems = check(browser, source, path, width, scheme)
                    print(f"{path}, {width} px, {scheme}: {len(problems)} problems")
                    for problem in problems:
                        print(f"  {problem}")
                    failed = failed or bool(problems)
    finally:
        browser.close()
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
